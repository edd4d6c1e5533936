"""The registries of formats in which labels can be written, and from which they can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError

Table = Mapping[str, Any]
"""Columns of equal length, a row an object: ``label`` and what is known about it, such as
``class``, ``score`` and measurements. In stacks, ``t`` and ``z`` say for which plane a row is."""


class Exporter(Protocol):
    """Writes labels in one format.

    Attributes
    ----------
    title
        What the format is called in menus.
    suffix
        Ending of its files, such as ``".tif"``.
    Params
        Its settings; an exporter is made from them, or with its defaults.
    """

    title: ClassVar[str]
    suffix: ClassVar[str]
    Params: ClassVar[type[components.Params]]

    def __init__(self, params: components.Params | None = None) -> None: ...

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write `labels`, and what the format tells of `image` and `table`, whole or not at all.

        Raises
        ------
        OutputError
            If the format cannot hold these labels, or the disk takes no file.
        DataError
            If the table has no column ``label``, or columns of several lengths.
        """


@dataclass(frozen=True, eq=False)
class Imported:
    """What a file of objects holds.

    Attributes
    ----------
    labels
        The objects, with the provenance that the file tells.
    table
        What the file tells about them, ``label`` and other columns; empty if nothing.
    overlap
        Pixels that more than one object wanted; the smallest of them got each.
    """

    labels: Labels
    table: dict[str, Any] = field(default_factory=dict)
    overlap: int = 0


@dataclass(frozen=True)
class Importer:
    """Reads labels from one format.

    Attributes
    ----------
    title
        What the format is called in menus.
    suffixes
        Endings of its files, lower case.
    accepts
        Tells whether a file with one of the endings is of this format; looks at its beginning.
    read
        Reads a file. Where it does not say how large its image is, the image tells.
    """

    title: str
    suffixes: tuple[str, ...]
    accepts: Callable[[Path], bool]
    read: Callable[[Path, Image | None], Imported]


EXPORTERS: components.Registry[type[Exporter]] = components.Registry("export format", __package__)
IMPORTERS: components.Registry[Importer] = components.Registry("import format", __package__)


def importer_of(path: Path) -> Importer:
    """Return what reads a file or an OME-Zarr folder.

    Raises
    ------
    DataError
        If there is nothing of that name, or no format fits.
    """
    if not path.exists():
        raise DataError(f"There is no file '{path}': check the path.")
    name = path.name.lower()
    for importer in (IMPORTERS[key] for key in IMPORTERS):
        if name.endswith(importer.suffixes) and importer.accepts(path):
            return importer
    kinds = "; ".join(_described(one) for _, one in IMPORTERS.items())
    raise DataError(f"No objects can be read from '{path.name}': give one of {kinds}.")


def _described(importer: Importer) -> str:
    endings = ", ".join(ending for ending in importer.suffixes if ending)
    return f"{importer.title} ({endings or 'a folder'})"


def exporter_for(path: Path) -> str:
    """Return the name of the format that is written to files called like `path`.

    Raises
    ------
    OutputError
        If no format has this ending, or several have it.
    """
    from napari_cellseg.core.errors import OutputError

    name = path.name.lower()
    fitting = [key for key, one in EXPORTERS.items() if name.endswith(one.suffix)]
    if len(fitting) != 1:
        known = ", ".join(fitting or EXPORTERS.names())
        raise OutputError(
            f"The ending of '{path.name}' does not tell the format: name one of {known}."
        )
    return fitting[0]
