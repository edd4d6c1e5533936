"""Files to Image and Labels, with axes and pixel size, lazily where they are large."""

from napari_cellseg.core.reading.arrays import image_from_array, with_axes_of
from napari_cellseg.core.reading.files import (
    PROVENANCE_KEY,
    SUFFIXES,
    find_images,
    labels_from,
    read_image,
    read_labels,
    stem,
)

__all__ = [
    "PROVENANCE_KEY",
    "SUFFIXES",
    "find_images",
    "image_from_array",
    "labels_from",
    "read_image",
    "read_labels",
    "stem",
    "with_axes_of",
]
