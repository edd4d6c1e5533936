"""Labels to outlines along the borders of pixels, so that nothing of their shape is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.polygons.rings import IntArray, Rings

# A corner of the pixel where a side begins, (x, y), by the direction in which it runs: along x,
# along y, against x, against y. The object always lies at the right hand.
_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.int64)


def trace(labels: npt.NDArray[Any], *, diagonal: bool = False) -> Rings:
    """Return the outlines of all objects; only the corners are vertices.

    Outer rings are clockwise (as seen with y downwards, a positive area), holes the other way.

    Parameters
    ----------
    labels
        Object numbers (Y, X), 0 is background.
    diagonal
        Whether pixels that touch by a corner only are joined. If not, no ring touches itself, so
        that the polygons are valid ones.

    Returns
    -------
    Rings
        Whole numbers, int64; ascending by object.
    """
    width = labels.shape[1] + 2
    flat = np.pad(labels, 1).reshape(-1)
    steps = (1, width, -1, -width)
    sides = [_sides(flat, width, steps[d], steps[d - 1], d) for d in range(4)]
    base = np.cumsum([0, *(len(first) for first, _ in sides)])
    first = np.concatenate([first for first, _ in sides])
    direction = np.repeat(np.arange(4), np.diff(base))
    successor = np.concatenate(
        [_successors(flat, sides, steps, base, d, diagonal) for d in range(4)]
    )
    row, column = np.divmod(first, width)
    vertex = np.stack([column - 1, row - 1], axis=1) + _CORNERS[direction]
    order, offset = _cycles(successor, np.argsort(flat[first], kind="stable"))
    if not diagonal:
        order, offset = _simple(order, offset, vertex[:, 1] * width + vertex[:, 0])
    owner = flat[first[order[offset[:-1]]]].astype(np.int64)
    return Rings(owner, offset, vertex[order])


def _sides(
    flat: npt.NDArray[Any], width: int, ahead: int, outwards: int, direction: int
) -> tuple[IntArray, IntArray]:
    """Return the first and the last pixel of every straight side in one direction."""
    body = flat[width:-width]
    beside = flat[width + outwards : len(flat) - width + outwards]
    edge = np.flatnonzero((body != 0) & (body != beside)) + width
    owner = flat[edge]
    goes_on = (flat[edge + ahead] == owner) & (flat[edge + ahead + outwards] != owner)
    went_on = (flat[edge - ahead] == owner) & (flat[edge - ahead + outwards] != owner)
    first, last = edge[~went_on], edge[~goes_on]
    if direction % 2:  # along columns
        first = first[np.argsort(first % width, kind="stable")]
        last = last[np.argsort(last % width, kind="stable")]
    return first, last


def _successors(
    flat: npt.NDArray[Any],
    sides: list[tuple[IntArray, IntArray]],
    steps: tuple[int, ...],
    base: IntArray,
    direction: int,
    diagonal: bool,
) -> IntArray:
    """Return the number of the side that follows each side of one direction."""
    last = sides[direction][1]
    right, left = (direction + 1) % 4, (direction - 1) % 4
    ahead = last + steps[direction]
    across = ahead + steps[left]
    turns_left = flat[across if diagonal else ahead] == flat[last]
    found = np.empty(len(last), np.int64)
    for turn, chosen, pixel in ((left, turns_left, across), (right, ~turns_left, last)):
        first = sides[turn][0]
        order = np.argsort(first)
        found[chosen] = base[turn] + order[np.searchsorted(first, pixel[chosen], sorter=order)]
    return found


def _cycles(successor: IntArray, starts: IntArray) -> tuple[IntArray, IntArray]:
    """Return all sides, ring by ring, and where each ring begins and ends."""
    following = successor.tolist()
    seen = bytearray(len(following))
    order: list[int] = []
    offset = [0]
    for start in starts.tolist():
        if seen[start]:
            continue
        side = start
        while not seen[side]:
            seen[side] = 1
            order.append(side)
            side = following[side]
        offset.append(len(order))
    return np.array(order, np.int64), np.array(offset, np.int64)


def _simple(order: IntArray, offset: IntArray, corner: IntArray) -> tuple[IntArray, IntArray]:
    """Divide the rings that pass a corner twice there: the parts do not touch themselves."""
    ring = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    key = ring * (int(corner.max(initial=0)) + 1) + corner[order]
    _, at, count = np.unique(key, return_index=True, return_counts=True)
    touching = set(ring[at[count > 1]].tolist())
    if not touching:
        return order, offset
    rings: list[IntArray] = []
    for number, sides in enumerate(np.split(order, offset[1:-1])):
        rings += _loops(sides, corner) if number in touching else [sides]
    lengths = [len(one) for one in rings]
    return np.concatenate(rings), np.append(0, np.cumsum(lengths)).astype(np.int64)


def _loops(sides: IntArray, corner: IntArray) -> list[IntArray]:
    """Divide one ring."""
    path: list[int] = []
    place: dict[int, int] = {}
    loops: list[list[int]] = []
    for side, at in zip(sides.tolist(), corner[sides].tolist(), strict=True):
        if at in place:
            since = place[at]
            loops.append(path[since:])
            for one in path[since:]:
                del place[int(corner[one])]
            del path[since:]
        place[at] = len(path)
        path.append(side)
    return [np.array(one, np.int64) for one in (path, *loops)]
