"""Solidity and Feret diameter of objects, from the convex hulls of all of them at once.

As in `skimage.measure.regionprops`: the hull is that of the four points half a pixel above, below,
left and right of every pixel; the convex area counts the pixels with their centre in it; the Feret
diameter is the largest distance between such points of the convex image. Whole numbers of
half pixels are computed with, so that nothing is rounded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.measure.objects import FloatArray, IntArray, Runs, groups
from napari_cellseg.core.measure.shape import PixelSize, in_both_units
from napari_cellseg.core.measure.table import Columns

_PAIRS = 2_000_000  # distances that are computed at a time

Points = tuple[IntArray, IntArray, IntArray]
"""Owner, y and x in half pixels."""


def hull_columns(runs: Runs, pixel_size: PixelSize) -> Columns:
    """Return Feret diameter and solidity of some objects."""
    owner, row, left, right = _rows(runs)
    owner, row, left, right = _convex_rows(owner, row, left, right)
    convex = np.bincount(owner, right - left + 1, runs.count)
    area = np.bincount(runs.owner, runs.right - runs.left + 1, runs.count)
    points = _join(_left_chain(owner, row, left), _right_chain(owner, row, right))
    feret = in_both_units(
        "feret_max", lambda *size: _farthest(points, runs.count, size), pixel_size
    )
    return {**feret, "solidity": area / convex}


def _rows(runs: Runs) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return owner, row, first and last column of what each object has in each row."""
    new = np.ones(len(runs.owner), bool)
    new[1:] = (np.diff(runs.owner) != 0) | (np.diff(runs.row) != 0)
    begin, end = groups(new)
    return runs.owner[begin], runs.row[begin], runs.left[begin], runs.right[end]


def _left_chain(owner: IntArray, row: IntArray, left: IntArray) -> Points:
    """Return the corners of the left half of the hulls, from the top down."""
    y = (2 * row[:, None] + (-1, 0, 1)).reshape(-1)
    x = (2 * left[:, None] + (0, -1, 0)).reshape(-1)
    return _envelope(np.repeat(owner, 3), y, x)


def _right_chain(owner: IntArray, row: IntArray, right: IntArray) -> Points:
    owner, y, x = _left_chain(owner, row, -right)
    return owner, y, -x


def _envelope(owner: IntArray, y: IntArray, x: IntArray) -> Points:
    """Keep the points, sorted by owner and y, that are corners of the convex hull to the left."""
    new = np.ones(len(y), bool)
    new[1:] = (np.diff(owner) != 0) | (np.diff(y) != 0)
    begin, _ = groups(new)
    owner, y, x = owner[begin], y[begin], np.minimum.reduceat(x, begin)
    while len(y) > 2:
        # A point on or behind the line between its neighbours is no corner, whichever of them
        # are none either: all such points can go at once.
        inner = owner[:-2] == owner[2:]
        along = (x[1:-1] - x[:-2]) * (y[2:] - y[:-2])
        line = (x[2:] - x[:-2]) * (y[1:-1] - y[:-2])
        gone = np.flatnonzero(inner & (along >= line)) + 1
        if not len(gone):
            break
        owner, y, x = (np.delete(one, gone) for one in (owner, y, x))
    return owner, y, x


def _convex_rows(
    owner: IntArray, row: IntArray, left: IntArray, right: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return the rows of the convex images: of every row between top and bottom what is within."""
    new = np.ones(len(owner), bool)
    new[1:] = np.diff(owner) != 0
    first, last = groups(new)
    height = row[last] - row[first] + 1
    every_owner = np.repeat(owner[first], height)
    shift = row[first] - np.cumsum(height) + height
    every_row = np.repeat(shift, height) + np.arange(int(height.sum()))
    begin = -_reach(_right_chain(owner, row, -left), every_owner, every_row)
    end = _reach(_right_chain(owner, row, right), every_owner, every_row)
    some = begin <= end
    return every_owner[some], every_row[some], begin[some], end[some]


def _reach(chain: Points, owner: IntArray, row: IntArray) -> IntArray:
    """Return the last column within the right half of the hull, in each of the rows."""
    corner, y, x = chain
    span = int(y.max(initial=0)) + 3
    after = np.searchsorted(corner * span + y + 1, owner * span + 2 * row + 1, side="right")
    before = after - 1
    width, height = x[after] - x[before], y[after] - y[before]
    column: IntArray = (x[before] * height + width * (2 * row - y[before])) // (2 * height)
    return column


def _join(one: Points, other: Points) -> Points:
    owner, y, x = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(owner, kind="stable")
    return owner[order], y[order], x[order]


def _farthest(points: Points, count: int, size: tuple[float, float]) -> FloatArray:
    """Return the largest distance between two points of each object, (count,), in units of size."""
    owner, y, x = points
    corners = np.stack([y * (size[0] / 2), x * (size[1] / 2)], axis=1)
    number = np.bincount(owner, minlength=count)
    first = np.cumsum(number) - number
    farthest = np.zeros(count)
    for n in np.unique(number):
        same = np.flatnonzero(number == n)
        for part in np.array_split(same, max(1, len(same) * int(n) ** 2 // _PAIRS)):
            p = corners[first[part][:, None] + np.arange(n)]
            farthest[part] = _largest_distance(p)
    return farthest


def _largest_distance(p: npt.NDArray[np.float64]) -> FloatArray:
    """Return the largest distance among n points of m objects, (m, n, 2)."""
    largest = np.zeros(len(p))
    for shift in range(1, p.shape[1] // 2 + 1):
        away = p - np.roll(p, shift, axis=1)
        np.maximum(largest, (away * away).sum(axis=2).max(axis=1), out=largest)
    return np.sqrt(largest)
