"""Median brightness of objects, and their brightness above the background around each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.measure.objects import FloatArray, IntArray, Runs, groups
from napari_cellseg.core.measure.table import Columns

Rings = tuple[Runs, Runs]
"""Objects grown to the outer and to the inner end of the ring around them, see `grown`."""


def slow_intensity_columns(
    runs: Runs,
    rings: Rings,
    background: npt.NDArray[np.bool_],
    pixels: npt.NDArray[Any],
    channel: str,
) -> Columns:
    """Return median, mean of the ring and mean above it of some objects in a channel.

    Parameters
    ----------
    rings
        What lies between the two, and is background, is the ring.
    background
        (Y, X), True where no object is.
    pixels
        The channel, (Y, X); values that are not finite are left out.
    """
    owner, position = runs.pixels(pixels.shape[1])
    owner, values = _finite(owner, pixels.reshape(-1)[position])
    mean = _ratio(*_totals(owner, values, runs.count))
    outer, inner = (_ring_totals(one, background, pixels) for one in rings)
    ring = _ratio(outer[0] - inner[0], outer[1] - inner[1])
    return {
        f"median_{channel}": _medians(owner, values, runs.count),
        f"ring_mean_{channel}": ring,
        f"mean_minus_ring_{channel}": mean - ring,
    }


def _finite(owner: IntArray, values: npt.NDArray[Any]) -> tuple[IntArray, FloatArray]:
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    return (owner, values) if finite.all() else (owner[finite], values[finite])


def _medians(owner: IntArray, values: FloatArray, count: int) -> FloatArray:
    values = values[np.lexsort((values, owner))]
    number = np.bincount(owner, minlength=count)
    first, some = np.cumsum(number) - number, number > 0
    low, high = first + (number - 1) // 2, first + number // 2
    medians = np.full(count, np.nan)
    medians[some] = values[low[some]] / 2 + values[high[some]] / 2
    return medians


def _totals(owner: IntArray, values: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Return sum and number of the values of each object."""
    total = np.bincount(owner, values, count).astype(np.float64)
    return total, np.bincount(owner, minlength=count).astype(np.float64)


def _ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    ratio: FloatArray = np.full(len(count), np.nan)
    return np.divide(total, count, out=ratio, where=count > 0)


def _ring_totals(
    runs: Runs, background: npt.NDArray[np.bool_], pixels: npt.NDArray[Any]
) -> tuple[FloatArray, FloatArray]:
    owner, position = runs.pixels(pixels.shape[1])
    free = background.reshape(-1)[position]
    owner, values = _finite(owner[free], pixels.reshape(-1)[position[free]])
    return _totals(owner, values, runs.count)


def grown(runs: Runs, radius: float, shape: tuple[int, int]) -> Runs:
    """Return objects with all pixels of the plane within `radius` px of theirs, as runs."""
    height, width = shape
    reach = int(radius)
    parts = []
    for down in range(-reach, reach + 1):
        across = int(np.sqrt(radius * radius - down * down))
        row = runs.row + down
        inside = (row >= 0) & (row < height)
        left = np.maximum(runs.left[inside] - across, 0)
        right = np.minimum(runs.right[inside] + across, width - 1)
        parts.append((runs.owner[inside], row[inside], left, right))
    owner, row, left, right = (np.concatenate(one) for one in zip(*parts, strict=True))
    return _united(owner, row, left, right, runs.count, shape)


def _united(
    owner: IntArray,
    row: IntArray,
    left: IntArray,
    right: IntArray,
    count: int,
    shape: tuple[int, int],
) -> Runs:
    """Unite the runs of each object that overlap or touch."""
    height, width = shape
    # Rows of all objects below each other, with a gap of one column at their ends.
    line = (owner * height + row) * (width + 1)
    order = np.argsort(line + left, kind="stable")
    start, stop = (line + left)[order], np.maximum.accumulate((line + right)[order])
    new = np.ones(len(start), bool)
    new[1:] = start[1:] > stop[:-1] + 1
    begin, end = groups(new)
    line, left = np.divmod(start[begin], width + 1)
    owner, row = np.divmod(line, height)
    return Runs(owner, row, left, stop[end] % (width + 1), count)
