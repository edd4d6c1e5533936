"""Where each object of a plane lies, so that a tool looks at its few pixels only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Box, Edit
from napari_cellseg.core.errors import EditError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class ObjectIndex:
    """Boxes around the objects of a plane, kept up to date edit by edit.

    Ids go up to 2**31 - 1 and need not be consecutive; an object may have several pieces.

    Parameters
    ----------
    plane
        (Y, X) integer labels, 0 = background. The index keeps no reference to it.
    """

    def __init__(self, plane: npt.NDArray[Any]) -> None:
        self._ids, self._bounds = _all_bounds(plane)

    @property
    def ids(self) -> IntArray:
        """Ids of all objects, sorted; not to be written to."""
        return self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, object_id: object) -> bool:
        return self._place(object_id) is not None

    def box(self, object_id: int) -> Box:
        """Return the smallest box around an object; KeyError if there is none of that id."""
        place = self._place(object_id)
        if place is None:
            raise KeyError(object_id)
        top, bottom, left, right = self._bounds[place].tolist()
        return slice(top, bottom), slice(left, right)

    def mask(self, plane: npt.NDArray[Any], object_id: int) -> tuple[Box, BoolArray]:
        """Return an object's box and which pixels in it, (h, w), are the object's."""
        box = self.box(object_id)
        return box, plane[box] == object_id

    def require(self, object_id: int) -> Box:
        """Return the box of an object that a tool was asked to change.

        Raises
        ------
        EditError
            If there is no object of that id.
        """
        try:
            return self.box(object_id)
        except KeyError:
            raise EditError(f"There is no object {object_id} here; click on an object.") from None

    def within(self, box: Box) -> IntArray:
        """Return the ids, sorted, of the objects whose box meets `box`."""
        top, bottom, left, right = self._bounds.T
        rows, columns = box
        meets = (top < rows.stop) & (bottom > rows.start)
        meets &= (left < columns.stop) & (right > columns.start)
        found: IntArray = self._ids[meets]
        return found

    def update(
        self, plane: npt.NDArray[Any], edit_box: Box, touched_ids: Iterable[int] | IntArray
    ) -> None:
        """Look again where objects are after `plane` was changed within `edit_box`.

        Parameters
        ----------
        plane
            The plane as it is now.
        edit_box
            Nothing outside of it has changed.
        touched_ids
            Ids that gained or lost pixels there, see `Edit.touched`. The time this takes follows
            the size of `edit_box` and of their boxes, not that of the plane.
        """
        found: dict[int, IntArray | None] = {}
        self._look_again(plane, edit_box, touched_ids, found)
        self._enter(found)

    def apply(self, plane: npt.NDArray[Any], edits: Iterable[Edit]) -> None:
        """Write edits into `plane`, (Y, X), and keep the index up to date with it."""
        found: dict[int, IntArray | None] = {}
        for edit in edits:
            touched = edit.touched(plane)
            plane[edit.box] = edit.labels
            self._look_again(plane, edit.box, touched, found)
        self._enter(found)

    def _look_again(
        self,
        plane: npt.NDArray[Any],
        edit_box: Box,
        touched_ids: Iterable[int] | IntArray,
        found: dict[int, IntArray | None],
    ) -> None:
        """Enter into `found` the bounds of the touched objects, None where one is gone."""
        touched = np.unique(np.fromiter(touched_ids, np.int64))
        touched = touched[touched > 0]
        region, offset = plane[edit_box], np.repeat([edit_box[0].start, edit_box[1].start], 2)
        # Few objects are looked for one by one, many at once.
        if len(touched) <= 8:
            now = {i: _bounds_of(region == i) for i in touched.tolist()}
        else:
            now = dict(zip(*_all_bounds(region), strict=True))
        for object_id in touched.tolist():
            here = now.get(object_id)
            here = None if here is None else here + offset
            found[object_id] = self._with_rest(plane, object_id, edit_box, here, found)

    def _with_rest(
        self,
        plane: npt.NDArray[Any],
        object_id: int,
        edit_box: Box,
        here: IntArray | None,
        found: dict[int, IntArray | None],
    ) -> IntArray | None:
        """Add to the bounds of an object in the edited box what it still has outside of it."""
        place = self._place(object_id)
        old = found.get(object_id, None if place is None else self._bounds[place])
        if old is None:
            return here
        top, bottom, left, right = old.tolist()
        rows, columns = edit_box
        below, beside = rows.start <= top, columns.start <= left
        if below and bottom <= rows.stop and beside and right <= columns.stop:
            return here
        rest = _bounds_of(plane[top:bottom, left:right] == object_id)
        if rest is None:
            return here
        rest += [top, top, left, left]
        if here is not None:
            rest[::2] = np.minimum(rest[::2], here[::2])
            rest[1::2] = np.maximum(rest[1::2], here[1::2])
        return rest

    def _enter(self, found: dict[int, IntArray | None]) -> None:
        """Replace the bounds of objects; None takes one out."""
        stays = ~np.isin(self._ids, np.fromiter(found, np.int64))
        fresh = {i: bounds for i, bounds in found.items() if bounds is not None}
        ids = np.concatenate([self._ids[stays], np.fromiter(fresh, np.int64)])
        bounds = np.array(list(fresh.values()), np.int64).reshape(-1, 4)
        bounds = np.concatenate([self._bounds[stays], bounds])
        order = np.argsort(ids, kind="stable")
        self._ids, self._bounds = ids[order], bounds[order]

    def _place(self, object_id: object) -> int | None:
        if not isinstance(object_id, (int, np.integer)):
            return None
        place = int(np.searchsorted(self._ids, object_id))
        found = place < len(self._ids) and self._ids[place] == object_id
        return place if found else None


def runs(labels: npt.NDArray[Any]) -> tuple[IntArray, IntArray, npt.NDArray[Any]]:
    """Cut labels, read along the last axis, into runs of equal pixels; background is left out.

    Returns start and stop of each run in the flattened labels, and its id. No run goes over the
    end of a row.
    """
    flat = labels.ravel()
    first = np.ones(labels.shape, bool)
    if flat.size:
        np.not_equal(labels[..., 1:], labels[..., :-1], out=first[..., 1:])
    starts = np.flatnonzero(first)
    stops = np.append(starts[1:], flat.size)
    ids = flat[starts]
    kept = ids > 0
    return starts[kept], stops[kept], ids[kept]


def _bounds_of(mask: BoolArray) -> IntArray | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], np.int64)


def _all_bounds(plane: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """Return the sorted ids and their (n, 4) top, bottom, left, right.

    By runs, since `scipy.ndimage.find_objects` takes twice the time, and a table as long as the
    largest id, which may be 2**31 - 1.
    """
    starts, stops, owners = runs(plane)
    order = np.argsort(owners, kind="stable")
    owners, starts, stops = owners[order], starts[order], stops[order]
    if not owners.size:
        return np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
    first = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    row, left = np.divmod(starts, plane.shape[1])
    right = left + stops - starts
    bounds = np.stack(
        [
            np.minimum.reduceat(row, first),
            np.maximum.reduceat(row, first) + 1,
            np.minimum.reduceat(left, first),
            np.maximum.reduceat(right, first),
        ],
        axis=1,
    )
    return owners[first].astype(np.int64), bounds.astype(np.int64)
