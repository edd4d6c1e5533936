"""Draw a new object, or add to one: by an outline, or with a round brush."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Box, Edit, check_new_id, painted
from napari_cellseg.core.editing.objects import BoolArray, ObjectIndex
from napari_cellseg.core.editing.shape import largest_pieces
from napari_cellseg.core.editing.stroke import band, enclosed
from napari_cellseg.core.errors import EditError


def draw_polygon(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    vertices: npt.ArrayLike,
    new_id: int,
    over: bool = False,
) -> list[Edit]:
    """Make an object of what an outline goes around.

    Parameters
    ----------
    plane
        (Y, X) labels.
    objects
        Its index.
    vertices
        (N >= 3, 2) y, x; the last one is joined to the first.
    new_id
        An id that was never used.
    over
        Also paint over other objects. Otherwise they keep every pixel, and what they part from
        the largest piece of the new object is left out.

    Raises
    ------
    EditError
        If the outline is no area on the plane, nothing of it is free, or the id is taken.
    """
    check_new_id(new_id, objects)
    box, drawn = enclosed(vertices, plane.shape)
    return painted(plane, [_free(plane, box, drawn, over)], new_id)


def draw_stroke(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    stroke: npt.ArrayLike,
    radius: float,
    new_id: int,
    over: bool = False,
) -> list[Edit]:
    """Make an object of what a round brush paints.

    Parameters
    ----------
    plane, objects, new_id, over
        See `draw_polygon`.
    stroke
        (N >= 1, 2) y, x of the line that the brush's centre went along.
    radius
        Of the brush, in pixels; 0 paints the line itself.

    Raises
    ------
    EditError
        If the brush painted nothing that is free, or the id is taken.
    """
    check_new_id(new_id, objects)
    box, drawn = band(stroke, radius, plane.shape)
    return painted(plane, [_free(plane, box, drawn, over)], new_id)


def extend(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    object_id: int,
    stroke: npt.ArrayLike,
    radius: float,
    over: bool = False,
) -> list[Edit]:
    """Add what a round brush paints to an object.

    Parameters
    ----------
    plane, objects, stroke, radius
        See `draw_stroke`.
    object_id
        The object that grows.
    over
        Also take pixels of other objects.

    Raises
    ------
    EditError
        If there is no such object, or the brush missed the image.
    """
    objects.require(object_id)
    box, drawn = band(stroke, radius, plane.shape)
    free = drawn if over else drawn & (plane[box] == 0)
    return painted(plane, [(box, free)], object_id)


def _free(plane: npt.NDArray[Any], box: Box, drawn: BoolArray, over: bool) -> tuple[Box, BoolArray]:
    """Leave other objects out of what was drawn, and what they cut off."""
    if not drawn.any():
        raise EditError("What was drawn is smaller than a pixel; zoom in and draw a larger shape.")
    free = drawn & (plane[box] == 0)
    if over or np.array_equal(free, drawn):
        return box, drawn
    if not free.any():
        raise EditError(
            "All of what was drawn lies on other objects; draw on background, or allow drawing "
            "over objects."
        )
    return box, largest_pieces(free, 1)
