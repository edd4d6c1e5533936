"""Merge objects into one: those clicked, or those that a line goes across."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Box, Edit, common, padded, painted
from napari_cellseg.core.editing.objects import BoolArray, ObjectIndex
from napari_cellseg.core.editing.stroke import line_pixels
from napari_cellseg.core.errors import EditError

Mask = tuple[Box, BoolArray]


def merge(
    plane: npt.NDArray[Any], objects: ObjectIndex, ids: Iterable[int], bridge: int = 3
) -> list[Edit]:
    """Make one object of several; it keeps the id of the largest, of equal ones the lowest.

    Parameters
    ----------
    plane
        (Y, X) labels.
    objects
        Its index.
    ids
        Two or more objects.
    bridge
        Two objects that do not touch (also not by a corner) grow together where at most this many
        pixels of background lie between them. Other objects keep every pixel; objects farther
        apart become one of several pieces.

    Raises
    ------
    EditError
        If there are fewer than two objects, or one of the ids does not exist.
    """
    chosen = sorted({int(i) for i in ids})
    for object_id in chosen:
        objects.require(object_id)
    if len(chosen) < 2:
        raise EditError("Merging needs two objects or more; click another one to join it with.")
    masks = {i: objects.mask(plane, i) for i in chosen}
    # max() returns the first of equal ones, and the ids are sorted.
    keep = max(chosen, key=lambda i: np.count_nonzero(masks[i][1]))
    parts = [mask for i, mask in masks.items() if i != keep]
    return painted(plane, parts + _gaps(plane, objects, chosen, bridge), keep)


def merge_along(
    plane: npt.NDArray[Any], objects: ObjectIndex, stroke: npt.ArrayLike, bridge: int = 3
) -> list[Edit]:
    """Merge all objects that a line crosses, see `merge`.

    Parameters
    ----------
    plane
        (Y, X) labels.
    objects
        Its index.
    stroke
        (N, 2) y, x of the line's vertices.
    bridge
        See `merge`.

    Raises
    ------
    EditError
        If it crosses fewer than two objects.
    """
    crossed = np.unique(plane[line_pixels(stroke, plane.shape)])
    crossed = crossed[crossed > 0]
    if len(crossed) < 2:
        what = "only one object" if len(crossed) else "no object"
        raise EditError(f"The line crosses {what}; draw it across those that are to be merged.")
    return merge(plane, objects, crossed.tolist(), bridge)


def _gaps(plane: npt.NDArray[Any], objects: ObjectIndex, ids: list[int], bridge: int) -> list[Mask]:
    """Return the background between each two objects that lie near each other."""
    found = []
    for first in ids if bridge > 0 else []:
        reach = padded(objects.box(first), bridge + 1, plane.shape)
        for second in np.intersect1d(objects.within(reach), ids).tolist():
            # Two pixels with so small a gap between them both lie within reach of both objects.
            window = common(reach, padded(objects.box(second), bridge + 1, plane.shape))
            if second > first and window is not None:
                found.append((window, _gap(plane[window], first, second, bridge)))
    return [(box, mask) for box, mask in found if mask.any()]


def _gap(region: npt.NDArray[Any], first: int, second: int, bridge: int) -> BoolArray:
    """Return the background (h, w) that lies between one object and the other."""
    from scipy.ndimage import distance_transform_edt

    if not ((region == first).any() and (region == second).any()):
        return np.zeros(region.shape, bool)
    near, to_first = distance_transform_edt(region != first, return_indices=True)
    far, to_second = distance_transform_edt(region != second, return_indices=True)
    if far[region == first].min() < 1.5:  # they touch: by a side, 1, or by a corner, 1.41
        return np.zeros(region.shape, bool)
    # From the nearest pixel of the one to that of the other, n + 1 over a gap of n pixels. A pixel
    # lies between the two if it sees them under more than a right angle, not beside the gap.
    way = ((to_first - to_second) ** 2).sum(axis=0)
    between = way > near**2 + far**2 + 0.5
    return np.asarray((region == 0) & between & (way <= (bridge + 1) ** 2))
