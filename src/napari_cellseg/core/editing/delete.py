"""Delete objects: those clicked, or those that a lasso goes around."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Edit, common, inside, painted
from napari_cellseg.core.editing.objects import IntArray, ObjectIndex
from napari_cellseg.core.editing.stroke import enclosed
from napari_cellseg.core.errors import EditError


def delete(plane: npt.NDArray[Any], objects: ObjectIndex, ids: Iterable[int]) -> list[Edit]:
    """Turn objects into background.

    Parameters
    ----------
    plane
        (Y, X) labels.
    objects
        Its index.
    ids
        The objects; none at all changes nothing.

    Raises
    ------
    EditError
        If one of the ids does not exist.
    """
    chosen = sorted({int(i) for i in ids})
    for object_id in chosen:
        objects.require(object_id)
    return painted(plane, [objects.mask(plane, i) for i in chosen], 0)


def objects_in_lasso(
    plane: npt.NDArray[Any], objects: ObjectIndex, outline: npt.ArrayLike, most: float = 0.5
) -> IntArray:
    """Return the ids, sorted, of the objects that lie inside an outline by more than `most`.

    Parameters
    ----------
    plane
        (Y, X) labels.
    objects
        Its index.
    outline
        (N >= 3, 2) y, x of the lasso.
    most
        The share of an object's pixels, 0 to below 1, that has to be exceeded.

    Raises
    ------
    EditError
        If the outline has fewer than three points or lies beside the plane, or `most` is no share.
    """
    if not 0 <= most < 1:
        raise EditError(f"A lasso cannot ask for more than {most} of an object; choose 0 to 0.99.")
    around, mask = enclosed(outline, plane.shape)
    found = []
    for object_id in objects.within(around).tolist():
        box, own = objects.mask(plane, object_id)
        shared = common(box, around)
        if shared is None:
            continue
        caught = own[inside(shared, box)] & mask[inside(shared, around)]
        if np.count_nonzero(caught) > most * np.count_nonzero(own):
            found.append(object_id)
    return np.array(found, np.int64)
