"""The registry of formats in which labels can be written."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels


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

    def write(self, labels: Labels, path: Path, image: Image | None = None) -> None:
        """Write `labels` (and what the format tells about `image`) to `path`, whole or not at all.

        Raises
        ------
        OutputError
            If the format cannot hold these labels, or the disk takes no file.
        """


EXPORTERS: components.Registry[type[Exporter]] = components.Registry("export format", __package__)
