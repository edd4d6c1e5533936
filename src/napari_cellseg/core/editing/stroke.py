"""Hand-drawn lines and outlines as pixels."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Box, padded
from napari_cellseg.core.errors import EditError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


def line_pixels(stroke: npt.ArrayLike, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Return rows and columns of the pixels under a line, in the order in which it was drawn.

    Parameters
    ----------
    stroke
        (N, 2) y, x of its vertices in pixels; pixel (0, 0) has its centre at 0.0, 0.0.
    shape
        (Y, X) of the plane; what lies outside of it is left out.

    Raises
    ------
    EditError
        If there are no vertices, or they are no positions.
    """
    from skimage.draw import line

    points = np.floor(vertices_of(stroke, 1, "line") + 0.5).astype(np.int64)
    parts = [points[:1]]
    for start, stop in pairwise(points):
        # The start of a part is the end of the one before.
        parts.append(np.stack(line(*start, *stop), axis=1)[1:])
    y, x = np.concatenate(parts).T
    seen = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    return y[seen], x[seen]


def band(stroke: npt.ArrayLike, radius: float, shape: tuple[int, ...]) -> tuple[Box, BoolArray]:
    """Return the box, and the pixels in it, that a round brush of `radius` pixels paints.

    Raises
    ------
    EditError
        If the line is empty or nowhere on the plane, or the radius is below 0.
    """
    from scipy.ndimage import distance_transform_edt

    if not (math.isfinite(radius) and radius >= 0):
        raise EditError(f"A brush cannot have a radius of {radius} pixels; choose 0 or more.")
    reach = math.ceil(radius)
    # Lines that run beside the plane still paint its edge.
    around = (shape[0] + 2 * reach, shape[1] + 2 * reach)
    y, x = line_pixels(vertices_of(stroke, 1, "line") + reach, around)
    box = _on_plane(y - reach, x - reach, reach, shape)
    free = np.ones((_length(box[0]) + 2 * reach, _length(box[1]) + 2 * reach), bool)
    y, x = y - box[0].start, x - box[1].start
    near = (y >= 0) & (y < free.shape[0]) & (x >= 0) & (x < free.shape[1])
    free[y[near], x[near]] = False
    distance = distance_transform_edt(free)
    within = distance[reach : reach + _length(box[0]), reach : reach + _length(box[1])]
    return box, within <= radius


def enclosed(outline: npt.ArrayLike, shape: tuple[int, ...]) -> tuple[Box, BoolArray]:
    """Return the box, and the pixels in it, whose centres a closed outline goes around.

    What a line that crosses itself goes around in either direction counts as enclosed. Own code,
    since `skimage.draw.polygon` asks every edge at every pixel: seconds for a lasso around a plane.

    Parameters
    ----------
    outline
        (N >= 3, 2) y, x; the last vertex is joined to the first.
    shape
        (Y, X) of the plane.

    Raises
    ------
    EditError
        If there are fewer than three vertices, or all lie beside the plane.
    """
    start = vertices_of(outline, 3, "outline")
    box = _on_plane(start[:, 0], start[:, 1], 0, shape)
    (y0, x0), (y1, x1) = start.T, np.roll(start, -1, axis=0).T
    # The rows whose centres each edge passes: from ceil(low) up to but without ceil(high).
    low = np.clip(np.ceil(np.minimum(y0, y1)), box[0].start, box[0].stop).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(y0, y1)), box[0].start, box[0].stop).astype(np.int64)
    count = high - low
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + low[edge]
    slope = (row - y0[edge]) / (y1 - y0)[edge]
    column = np.ceil(x0[edge] + slope * (x1 - x0)[edge])
    column = np.clip(column, box[1].start, box[1].stop).astype(np.int64)
    turns = np.zeros((_length(box[0]), _length(box[1]) + 1), np.int16)
    np.add.at(turns, (row - box[0].start, column - box[1].start), np.where(y1 > y0, 1, -1)[edge])
    return box, np.cumsum(turns, axis=1, out=turns)[:, :-1] != 0


def vertices_of(line: npt.ArrayLike, least: int, what: str) -> FloatArray:
    """Return a line's vertices as (N, 2) floats.

    Raises
    ------
    EditError
        If there are fewer than `least` of them, or they are no positions.
    """
    points = np.asarray(line, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise EditError(f"The {what} has no positions on this plane; draw it again.")
    if len(points) < least:
        raise EditError(f"The {what} needs at least {least} points; draw a longer one.")
    return points


def _on_plane(y: AnyArray, x: AnyArray, by: int, shape: tuple[int, ...]) -> Box:
    if len(y):
        rows = slice(math.floor(y.min()), math.ceil(y.max()) + 1)
        columns = slice(math.floor(x.min()), math.ceil(x.max()) + 1)
        box = padded((rows, columns), by, shape)
        if _length(box[0]) > 0 and _length(box[1]) > 0:
            return box
    raise EditError("That lies beside the image; draw inside of it.")


def _length(part: slice) -> int:
    return int(part.stop - part.start)
