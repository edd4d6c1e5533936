"""Outlines to runs of pixels: a pixel belongs to an object if its centre lies inside."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.polygons.rings import IntArray, Rings
from napari_cellseg.core.polygons.runs import Runs


def fill(rings: Rings, shape: tuple[int, int]) -> Runs:
    """Fill the rings of each object together, by the even-odd rule.

    So a ring within another is a hole, one beside it another piece, and a line that is passed twice
    is nothing. What lies outside of the plane is cut off.

    Parameters
    ----------
    rings
        With vertices anywhere, also between pixels.
    shape
        Height and width of the plane.

    Returns
    -------
    Runs
        At most one row long each, ascending by object and place.
    """
    height, width = shape
    ids, place = np.unique(rings.owner, return_inverse=True)
    side, row = _crossed_rows(rings, height)
    (x, y), (u, v) = rings.xy[side].T, rings.following[side].T
    crossing = x + (row + 0.5 - y) * ((u - x) / (v - y))
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    key = (place[rings.ring[side]] * height + row) * (width + 1) + column
    key.sort()
    line, column = np.divmod(key, width + 1)
    start, stop = column[0::2], column[1::2]
    object_place, row = np.divmod(line[0::2], height)
    wide = stop > start
    begin = row * width
    return Runs(ids[object_place][wide], (begin + start)[wide], (begin + stop)[wide])


def fill_through_centres(rings: Rings, shape: tuple[int, int]) -> Runs:
    """Fill rings whose vertices are whole numbers of pixels, and take in the pixels on the line.

    Parameters
    ----------
    rings
        Vertex (x, y) is the centre of the pixel in column x and row y.
    shape
        Height and width of the plane; what lies outside is cut off.
    """
    xy, following = rings.xy, rings.following
    inner = fill(Rings(rings.owner, rings.offset, xy + 0.5), shape)
    steps = np.maximum(np.abs(following - xy).max(axis=1, initial=0), 1).astype(np.int64)
    part = np.arange(int(steps.sum())) - np.repeat(np.cumsum(steps) - steps, steps)
    share = (part / np.repeat(steps, steps))[:, np.newaxis]
    begin, end = np.repeat(xy, steps, axis=0), np.repeat(following, steps, axis=0)
    on_line = np.rint(begin + share * (end - begin)).astype(np.int64)
    owner = np.repeat(rings.owner[rings.ring], steps)
    inside = ((on_line >= 0) & (on_line < shape[::-1])).all(axis=1)
    pixel = on_line[inside, 1] * shape[1] + on_line[inside, 0]
    owner = np.append(inner.owner, owner[inside])
    start, stop = np.append(inner.start, pixel), np.append(inner.stop, pixel + 1)
    order = np.argsort(owner, kind="stable")
    return Runs(owner[order], start[order], stop[order])


def _crossed_rows(rings: Rings, height: int) -> tuple[IntArray, IntArray]:
    """Return each pair of a side and a row whose middle it crosses, as two arrays."""
    y, v = rings.xy[:, 1], rings.following[:, 1]
    low = np.clip(np.ceil(np.minimum(y, v) - 0.5), 0, height).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(y, v) - 0.5), 0, height).astype(np.int64)
    count = high - low
    side = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count) + low[side]
    return side, row
