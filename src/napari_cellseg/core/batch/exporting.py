"""Writes the objects of one image in the other formats that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.export.registry import EXPORTERS
from napari_cellseg.core.files import make_folder

ALWAYS = "label-tiff"
"""The format that every batch writes."""


def check_formats(formats: Sequence[str]) -> None:
    """Look whether all formats exist.

    Raises
    ------
    UnknownNameError
        If one does not.
    """
    for kind in formats:
        EXPORTERS[kind]


def exported(folder: BatchFolder, formats: Sequence[str], name: str) -> list[Path]:
    """Return where an image's objects lie in other formats."""
    return [folder.exported(kind, name, EXPORTERS[kind].suffix) for kind in formats]


def export(
    folder: BatchFolder,
    formats: Sequence[str],
    name: str,
    labels: Labels,
    image: Image,
    table: dict[str, Any] | None,
) -> None:
    """Write an image's objects in other formats, with their default settings.

    Raises
    ------
    OutputError
        If the disk takes no more.
    DataError
        If a format cannot hold these objects.
    """
    for kind, path in zip(formats, exported(folder, formats, name), strict=True):
        make_folder(path.parent)
        try:
            EXPORTERS[kind]().write(labels, path, image, table)
        except OutputError as error:
            # What the disk refuses it would refuse again; what a format refuses is this image's.
            if isinstance(error.__cause__, OSError):
                raise
            raise DataError(str(error)) from error
