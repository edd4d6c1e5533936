"""What a correction changes: the region of a plane that it touched, and what is there afterwards.

Every tool of this package takes a plane that it never writes to and returns ``list[Edit]``: the
parts of one correction. Their boxes do not overlap, so that they can be applied and undone in any
order; an empty list says that nothing changes. Objects that lie far apart become edits of their
own, which keeps memory and time near the number of pixels that really change.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import EditError

Box = tuple[slice, slice]
Int32Array = npt.NDArray[np.int32]
LARGEST_ID = 2**31 - 1
_SMALL = 64 * 64  # pixels that are not worth two edits


@dataclass(frozen=True, eq=False)
class Edit:
    """One changed region.

    Attributes
    ----------
    box
        Rows and columns of the plane, start and stop as ints.
    labels
        (h, w) int32: what the box holds afterwards; everything outside of it is untouched.
    """

    box: Box
    labels: Int32Array

    @classmethod
    def of(cls, plane: npt.NDArray[Any], box: Box, after: npt.NDArray[Any]) -> Self | None:
        """Trim `box` to what `after`, (h, w), changes in `plane`, (Y, X); None if nothing."""
        changed = after != plane[box]
        rows = np.flatnonzero(changed.any(axis=1))
        if not rows.size:
            return None
        inner = slice(int(rows[0]), int(rows[-1]) + 1)
        columns = np.flatnonzero(changed[inner].any(axis=0))
        across = slice(int(columns[0]), int(columns[-1]) + 1)
        labels = np.array(after[inner, across], np.int32, order="C")
        labels.flags.writeable = False
        return cls((_moved(inner, box[0].start), _moved(across, box[1].start)), labels)

    def touched(self, plane: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the ids, sorted, that gain or lose pixels; `plane` is still as it was before."""
        before = plane[self.box]
        changed = before != self.labels
        both = np.concatenate([before[changed], self.labels[changed]])
        ids = np.unique(both).astype(np.int64)
        return ids[ids > 0]


def changes(plane: npt.NDArray[Any], box: Box, after: npt.NDArray[Any]) -> list[Edit]:
    """Return `Edit.of` as a list of one edit, or of none."""
    edit = Edit.of(plane, box, after)
    return [] if edit is None else [edit]


def apply(plane: npt.NDArray[Any], edits: Sequence[Edit]) -> None:
    """Write the edits into `plane`, (Y, X)."""
    for edit in edits:
        plane[edit.box] = edit.labels


def inverse(plane: npt.NDArray[Any], edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits that take the given ones back; ask before they are applied."""
    return [Edit(edit.box, np.array(plane[edit.box], np.int32)) for edit in edits]


def joined(first: Box, second: Box) -> Box:
    """Return the smallest box that holds both."""
    (a, b), (c, d) = first, second
    return (
        slice(min(a.start, c.start), max(a.stop, c.stop)),
        slice(min(b.start, d.start), max(b.stop, d.stop)),
    )


def padded(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    """Return `box` larger by `by` pixels on each side, as far as a plane of `shape` reaches."""
    rows, columns = box
    return (
        slice(max(rows.start - by, 0), min(rows.stop + by, shape[0])),
        slice(max(columns.start - by, 0), min(columns.stop + by, shape[1])),
    )


def common(first: Box, second: Box) -> Box | None:
    """Return the box that both share, or None."""
    (a, b), (c, d) = first, second
    rows = slice(max(a.start, c.start), min(a.stop, c.stop))
    columns = slice(max(b.start, d.start), min(b.stop, d.stop))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def inside(box: Box, outer: Box) -> Box:
    """Return `box`, given in the plane, as it is seen within ``plane[outer]``."""
    return _moved(box[0], -outer[0].start), _moved(box[1], -outer[1].start)


def cover(boxes: Sequence[Box]) -> list[tuple[Box, npt.NDArray[np.int64]]]:
    """Cover `boxes` with fewer ones that do not overlap and hold little else.

    The box around all of them is halved until the boxes fill half of what covers them, or that is
    small. Returns each covering box, and the places in `boxes` of those that reach into it.
    """
    bounds = np.array([(r.start, r.stop, c.start, c.stop) for r, c in boxes], np.int64)
    bounds = bounds.reshape(-1, 4)
    found = []
    open_parts = [(bounds, np.arange(len(bounds)))] if len(bounds) else []
    while open_parts:
        part, places = open_parts.pop()
        low, high = part[:, ::2].min(axis=0), part[:, 1::2].max(axis=0)
        wanted = int(((part[:, 1] - part[:, 0]) * (part[:, 3] - part[:, 2])).sum())
        if (high[0] - low[0]) * (high[1] - low[1]) <= max(2 * wanted, _SMALL):
            rows, columns = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            found.append(((rows, columns), places))
            continue
        axis = int(np.argmax(high - low))
        start, stop = 2 * axis, 2 * axis + 1
        middle = (low[axis] + high[axis]) // 2
        for side in (part[:, stop] > middle, part[:, start] < middle):
            half = part[side]
            open_parts.append((half, places[side]))
        open_parts[-2][0][:, start] = np.maximum(open_parts[-2][0][:, start], middle)
        open_parts[-1][0][:, stop] = np.minimum(open_parts[-1][0][:, stop], middle)
    return found


def painted(
    plane: npt.NDArray[Any], parts: Sequence[tuple[Box, npt.NDArray[np.bool_]]], to: int
) -> list[Edit]:
    """Return the edits that give the id `to` to some pixels: boxes and masks (h, w) in them."""
    edits: list[Edit] = []
    for region, places in cover([box for box, _ in parts]):
        after = np.array(plane[region], np.int32)
        for place in places.tolist():
            box, mask = parts[place]
            shared = common(box, region)
            if shared is not None:
                after[inside(shared, region)][mask[inside(shared, box)]] = to
        edits += changes(plane, region, after)
    return edits


def check_new_id(new_id: int, known: Container[int]) -> int:
    """Return `new_id` if it is a possible id that `known` (an ObjectIndex) does not hold.

    Raises
    ------
    EditError
        If it is out of range or taken.
    """
    if not 0 < new_id <= LARGEST_ID:
        raise EditError(
            f"A new object cannot have the number {new_id}; renumber the objects, then try again."
        )
    if new_id in known:
        raise EditError(f"There is an object {new_id} already; choose a number that is free.")
    return int(new_id)


def _moved(part: slice, by: int) -> slice:
    return slice(int(part.start + by), int(part.stop + by))
