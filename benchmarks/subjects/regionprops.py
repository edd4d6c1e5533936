"""scikit-image's regionprops_table, with the same measures of the same objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from skimage.measure import regionprops_table

from benchmarks.cells import packed_cells, packed_picture

FAST = (
    "label", "area", "perimeter", "axis_major_length", "axis_minor_length", "eccentricity",
    "orientation", "equivalent_diameter_area", "centroid", "bbox", "intensity_mean",
    "intensity_min", "intensity_max", "intensity_std",
)  # fmt: skip
SLOW = ("label", "feret_diameter_max", "solidity", "intensity_median")


def ways(task: str, side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    """Only ``measuring``; neighbours, sums and rings, which it does not have, are not in it."""
    if task != "measuring":
        return {}
    cells = packed_cells(side)
    picture = packed_picture(cells)

    def way(names: tuple[str, ...]) -> Callable[[], Any]:
        return lambda: regionprops_table(cells, picture, names, spacing=(0.5, 0.5))

    return {"regionprops_table, fast set": way(FAST), "regionprops_table, slow set": way(SLOW)}
