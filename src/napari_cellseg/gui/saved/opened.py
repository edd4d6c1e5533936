"""Work that was opened, as it waits in the metadata of its labels layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_cellseg.core.saved.entries import Box, ImageReference

WORK_KEY = "napari-cellseg work"
"""Under which the metadata of a labels layer hold the `SavedWork` that it was opened from, until
the tab Segment takes it up."""
BELONGS_KEY = "napari-cellseg belongs to"
"""Under which the metadata of the layers of opened work hold, for good, one `Belongs`."""
WORK_FILE_KEY = "napari-cellseg work file"
"""Under which the metadata of a labels layer hold the file that it was opened from or saved in."""
IMAGE_FILE_KEY = "napari-cellseg image file"
"""Under which the metadata of an image layer hold its file, where its source tells another one."""


@dataclass(frozen=True, eq=False)
class Belongs:
    """Which image opened work was done on, also where that image is not open.

    Layers that hold the same one were opened together: names do not tell, because napari renames.

    Attributes
    ----------
    image, box
        As of `SavedWork`.
    shape
        Of the labels that were opened; of others nothing is known.
    view
        How the image was shown.
    """

    image: ImageReference
    box: Box
    shape: tuple[int, ...]
    view: Mapping[str, Any]
