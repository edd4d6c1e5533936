"""Segment, train, fine-tune, evaluate, compare and measure from Python, without a viewer.

Examples
--------
>>> from napari_cellseg import api
>>> result = api.segment("field.tif", diameter=25)  # doctest: +SKIP
>>> result.labels.data.max()  # doctest: +SKIP
"""

from napari_cellseg.api.measuring import measure
from napari_cellseg.api.scoring import compare, compare_labels, evaluate
from napari_cellseg.api.segmenting import choose_recipe, segment
from napari_cellseg.api.training import fine_tune, train
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe

__all__ = [
    "CellsegError",
    "Image",
    "Labels",
    "Progress",
    "Recipe",
    "choose_recipe",
    "compare",
    "compare_labels",
    "evaluate",
    "fine_tune",
    "measure",
    "read_image",
    "read_labels",
    "segment",
    "train",
    "write_labels",
]
