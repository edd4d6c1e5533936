"""Splits an object: along a line, between points, or into a given number of parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing._cut import sampled, sides
from napari_cellseg.core.editing._pieces import (
    Cut,
    NewIds,
    depth,
    edits_of,
    part_between,
)
from napari_cellseg.core.editing._seeds import part_into
from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.editing.stroke import vertices_of
from napari_cellseg.core.errors import EditError


def split_along(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    stroke: npt.ArrayLike,
    new_ids: NewIds,
    object_id: int | None = None,
) -> list[Edit]:
    """Split along a hand-drawn line every object that it parts.

    An end of the line that lies inside of an object is prolonged straight on to its edge, where
    the line met no other object or went at least half of the way.

    Parameters
    ----------
    plane
        (Y, X) labels, not written to.
    objects
        Where its objects lie.
    stroke
        (N, 2): vertices y, x of the line, N >= 2; the centre of a pixel is at whole numbers.
    new_ids
        Returns an id that was never used, each time another one. The largest part of an object
        keeps its id.
    object_id
        The only object to split; None for all under the line.

    Raises
    ------
    EditError
        If the line parts no object.
    """
    remedy = "draw a line right across the object"
    line = sampled(vertices_of(stroke, 2, "line"))
    if object_id is not None:
        objects.require(object_id)
        hit = [object_id]
    else:
        hit = _under(plane, line)
    if not hit:
        raise EditError(f"The line meets no object; {remedy} that is to be split.")
    cuts = []
    for each in hit:
        box, mask = objects.mask(plane, each)
        parts = sides(mask, line - (box[0].start, box[1].start), alone=len(hit) == 1)
        if parts is not None:
            cuts.append(Cut(each, box, parts))
    if not cuts:
        raise EditError(f"The line parts no object in two; {remedy}, from one edge to the other.")
    return edits_of(plane, objects, cuts, new_ids)


def split_between(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    object_id: int,
    points: npt.ArrayLike,
    new_ids: NewIds,
    probability: npt.NDArray[Any] | None = None,
) -> list[Edit]:
    """Split an object so that each point gets its own part, at the waists between the points.

    Parameters
    ----------
    plane, objects, new_ids
        As for `split_along`.
    object_id
        The object to split.
    points
        (N, 2): y, x of N >= 2 points on the object, on different pixels.
    probability
        (Y, X), 0..1, or uint8 up to 255: the kept probability map; where it dips is a waist too.

    Raises
    ------
    EditError
        If a point is not on the object, or two share a pixel.
    """
    remedy = "click once on each of the cells in the object"
    seeds = np.floor(vertices_of(points, 1, "click") + 0.5).astype(np.int64)
    if len(seeds) < 2:
        raise EditError(f"Splitting needs two points or more; {remedy}.")
    objects.require(object_id)
    box, mask = objects.mask(plane, object_id)
    seeds -= (box[0].start, box[1].start)
    y, x = seeds.T
    within = (y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1])
    if not within.all() or not mask[y, x].all():
        raise EditError(f"A point lies outside of object {object_id}; {remedy}.")
    if len(np.unique(seeds, axis=0)) < len(seeds):
        raise EditError(f"Two points lie on the same pixel; {remedy}.")
    parts = part_between(mask, seeds, depth(mask, box, probability))[1]
    return edits_of(plane, objects, [Cut(object_id, box, parts)], new_ids)


def split_into(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    object_id: int,
    n: int,
    new_ids: NewIds,
    probability: npt.NDArray[Any] | None = None,
) -> list[Edit]:
    """Split an object into `n` parts at its waists; where it has too few, into equal shares.

    Parameters
    ----------
    plane, objects, object_id, new_ids, probability
        As for `split_between`.
    n
        Number of parts, at least 2.

    Raises
    ------
    EditError
        If the object has fewer than `n` pixels.
    """
    objects.require(object_id)
    box, mask = objects.mask(plane, object_id)
    if n < 2:
        raise EditError(f"An object cannot be split into {n}; choose 2 parts or more.")
    if n > mask.sum():
        raise EditError(
            f"Object {object_id} has only {mask.sum()} pixels; choose fewer than {n} parts."
        )
    parts = part_into(mask, n, depth(mask, box, probability))
    return edits_of(plane, objects, [Cut(object_id, box, parts)], new_ids)


def _under(plane: npt.NDArray[Any], line: npt.NDArray[np.float64]) -> list[int]:
    """Ids of the objects under a line, sorted."""
    y, x = np.floor(line + 0.5).astype(np.int64).T
    within = (y >= 0) & (y < plane.shape[0]) & (x >= 0) & (x < plane.shape[1])
    ids = np.unique(plane[y[within], x[within]])
    return [int(i) for i in ids if i > 0]
