"""Grows a missed cell at a click, out of the kept probability map."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing._hill import Hill, Outline, hills_at, stable_outlines
from napari_cellseg.core.editing.edit import Edit, check_new_id, painted
from napari_cellseg.core.editing.objects import BoolArray, ObjectIndex
from napari_cellseg.core.editing.stroke import vertices_of
from napari_cellseg.core.errors import EditError

_TIE = 2.0  # an inner outline is as good if it moves up to this times as much as the best
_WIDER = 1.25  # an outline is another one if its area is larger by this


def grow_at(
    plane: npt.NDArray[Any],
    objects: ObjectIndex,
    probability: npt.NDArray[Any],
    point: npt.ArrayLike,
    new_id: int,
    level: int = 0,
    *,
    contour: npt.NDArray[Any] | None = None,
    min_area: int = 10,
    max_area: int = 65_536,
) -> list[Edit]:
    """Make an object of the region around a click that has the most stable outline.

    While the level sinks from the peak at the click towards 0.05, the connected region of
    background above it grows. Its outline is stable where its area changes least for a step of a
    tenth of the peak (maximally stable extremal regions, Matas et al. 2002), however unsure the
    model was of the cell. Of outlines about as stable the innermost is taken: a cell rather than
    the clump that it is part of. Holes are filled, other objects are left as they are.

    Parameters
    ----------
    plane
        (Y, X) labels, not written to.
    objects
        Where its objects lie.
    probability
        (Y, X), 0..1, or uint8 up to 255: the kept probability map of the foreground.
    point
        y, x of the click, on background.
    new_id
        An id that was never used.
    level
        0 for the most stable outline, 1, 2, ... for the next stable ones outwards, and
        -1, -2, ... inwards.
    contour
        (Y, X), of the same kind: the probability of contours, where the model gives one; it keeps
        touching cells apart.
    min_area, max_area
        Pixels that the object may have.

    Raises
    ------
    EditError
        If the click is beside the image or on an object, if there is no foreground, or no
        outline of that level.
    """
    check_new_id(new_id, objects)
    for values in (probability, contour):
        if values is not None and values.shape != plane.shape:
            raise EditError(
                f"The model's maps {values.shape} and the labels {plane.shape} differ in size; "
                "run the model on this image again."
            )
    y, x = (math.floor(v + 0.5) for v in vertices_of(np.reshape(point, (1, -1)), 1, "click")[0])
    if not (0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]):
        raise EditError("The click lies beside the image; click on a cell.")
    if plane[y, x]:
        raise EditError(f"Object {plane[y, x]} is here already; click on a cell that was missed.")
    chosen = _chosen(hills_at(plane, probability, contour, (y, x)), level, (min_area, max_area))
    if chosen is None:
        where = "has no clear outline" if level == 0 else "has no further stable outline"
        raise EditError(f"The model's probability here {where}; draw the cell instead.")
    hill, outline = chosen
    free = plane[hill.box] == 0
    return painted(plane, [(hill.box, _filled(hill.reach >= outline.level) & free)], new_id)


def _filled(mask: BoolArray) -> BoolArray:
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(mask), bool)


def _chosen(
    hills: Iterator[Hill], level: int, areas: tuple[int, int]
) -> tuple[Hill, Outline] | None:
    """Return the outline of a level, and the hill seen in the smallest window that shows it."""
    last: Outline | None = None
    for hill in hills:
        outlines = stable_outlines(hill, areas)
        if last is None:
            if not outlines:
                continue
            best = min(outline.change for outline in outlines)
            first = next(i for i, o in enumerate(outlines) if o.change <= _TIE * best)
            last = outlines[first]
            if level < 0:
                return (hill, outlines[first + level]) if first + level >= 0 else None
        if level == 0:
            return hill, last
        for outline in outlines:
            if outline.area >= _WIDER * last.area:
                last, level = outline, level - 1  # so many are left to go
                if level == 0:
                    return hill, last
    return None
