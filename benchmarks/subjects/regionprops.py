"""scikit-image's regionprops_table, with the measures of our fast set that it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from skimage.measure import regionprops_table

from benchmarks.cells import packed_cells, packed_picture

NAMES = (
    "label", "area", "perimeter", "axis_major_length", "axis_minor_length", "eccentricity",
    "orientation", "equivalent_diameter_area", "centroid", "bbox", "intensity_mean",
    "intensity_min", "intensity_max", "intensity_std",
)  # fmt: skip


def ways(task: str, side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    """Only ``measuring``; neighbours and edge contact, which it does not have, are not in it."""
    if task != "measuring":
        return {}
    cells = packed_cells(side)
    picture = packed_picture(cells)

    return {
        "regionprops_table": lambda: regionprops_table(cells, picture, NAMES, spacing=(0.5, 0.5))
    }
