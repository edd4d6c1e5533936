"""Work that was opened, as it waits in the metadata of its labels layer."""

from __future__ import annotations

from dataclasses import dataclass

from napari_cellseg.core.saved.work import SavedWork

WORK_KEY = "napari-cellseg work"
"""Under which the metadata of a labels layer hold the work that it was opened from."""
IMAGE_FILE_KEY = "napari-cellseg image file"
"""Under which the metadata of an image layer hold its file, where its source tells another one."""


@dataclass(frozen=True, eq=False)
class Opened:
    """Work that was opened, until the tab Segment takes it up.

    Attributes
    ----------
    work
        What was read.
    image
        Name of its image layer, "" if the image was not found.
    """

    work: SavedWork
    image: str
