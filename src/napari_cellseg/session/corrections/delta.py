"""The pixels that one step changed: enough to do it again and to take it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]
Index = tuple[int, ...]
Box = tuple[slice, slice]

_SPREAD = 8  # pixels between the first and the last change, for each that changes


@dataclass(frozen=True, eq=False)
class Delta:
    """Changed pixels of one array; it takes 16 bytes a pixel, whatever the size of the array.

    Attributes
    ----------
    positions
        Flat (C order) positions, ascending, int64 (N,).
    before, after
        Values at these positions, int32 (N,), different everywhere.
    """

    positions: Positions
    before: Int32Array
    after: Int32Array

    @classmethod
    def none(cls) -> Delta:
        """Return the change of nothing."""
        empty = np.empty(0, np.int32)
        return cls(np.empty(0, np.int64), empty, empty)

    @classmethod
    def between(cls, before: npt.NDArray[np.integer], after: npt.NDArray[np.integer]) -> Delta:
        """Return what makes `after` of `before`, two arrays of one shape."""
        positions = np.flatnonzero(before != after)
        return cls(
            positions,
            _values(before, positions).astype(np.int32),
            _values(after, positions).astype(np.int32),
        )

    @classmethod
    def of(cls, positions: Positions, before: npt.ArrayLike, after: npt.ArrayLike) -> Delta:
        """Return the change at `positions`, in any order but each once; equal values fall out.

        `before` and `after` are one value or one for each position.
        """
        old = np.broadcast_to(np.asarray(before, np.int32), positions.shape)
        new = np.broadcast_to(np.asarray(after, np.int32), positions.shape)
        kept = np.flatnonzero(old != new)
        kept = kept[np.argsort(positions[kept], kind="stable")]
        return cls(positions[kept].astype(np.int64, copy=False), old[kept], new[kept])

    @classmethod
    def joined(cls, parts: Sequence[Delta]) -> Delta:
        """Return the changes of places that have no position in common as one."""
        if len(parts) < 2:
            return parts[0] if parts else cls.none()
        positions = np.concatenate([part.positions for part in parts])
        order = np.argsort(positions, kind="stable")
        before = np.concatenate([part.before for part in parts])
        after = np.concatenate([part.after for part in parts])
        return cls(positions[order], before[order], after[order])

    def __bool__(self) -> bool:
        return bool(self.positions.size)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.positions.nbytes + self.before.nbytes + self.after.nbytes

    @property
    def reversed(self) -> Delta:
        """What takes this change back."""
        return Delta(self.positions, self.after, self.before)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Objects that gained or lost a pixel, ascending."""
        touched = np.union1d(_distinct(self.before), _distinct(self.after))
        return tuple(touched[touched > 0].tolist())

    def then(self, later: Delta) -> Delta:
        """Return both changes as one, this one first.

        That takes long if they are large, but only the first time: a worker may be asked before.
        """
        found = self._joined.get(later)
        if found is None:
            found = self._joined[later] = self._join(later)
        return found

    @cached_property
    def _joined(self) -> WeakKeyDictionary[Delta, Delta]:
        return WeakKeyDictionary()

    def _join(self, later: Delta) -> Delta:
        both = [part.positions for part in (self, later) if part.positions.size]
        if len(both) < 2:
            return later if self.positions.size == 0 else self
        low = min(int(one[0]) for one in both)
        span = max(int(one[-1]) for one in both) + 1 - low
        if span > _SPREAD * (self.positions.size + later.positions.size):
            positions = np.union1d(*both)
            places = [np.searchsorted(positions, part.positions) for part in (self, later)]
            span = positions.size
        else:  # as many: by a place for each pixel between the first and the last
            positions, places = None, [part.positions - low for part in (self, later)]
        before, after = np.zeros(span, np.int32), np.zeros(span, np.int32)
        before[places[1]], after[places[0]] = later.before, self.after
        before[places[0]], after[places[1]] = self.before, later.after
        kept = np.flatnonzero(before != after)
        where = kept + low if positions is None else positions[kept]
        return Delta(where, before[kept], after[kept])

    def write(self, array: npt.NDArray[np.integer]) -> None:
        """Make the change in `array`, which may be a view in any order."""
        if array.flags.c_contiguous:
            array.reshape(-1)[self.positions] = self.after
        else:
            array[np.unravel_index(self.positions, array.shape)] = self.after

    def planes(self, shape: tuple[int, ...]) -> Iterator[tuple[Index, Box]]:
        """Yield each plane (Y, X) of an array of `shape` that changes, and the box that does."""
        rows, columns = shape[-2:]
        plane, within = np.divmod(self.positions, rows * columns)
        starts = np.flatnonzero(np.diff(plane, prepend=-1))
        stops = np.append(starts[1:], plane.size)[: starts.size]
        for first, stop in zip(starts, stops, strict=True):
            y, x = np.divmod(within[first:stop], columns)
            index = np.unravel_index(int(plane[first]), shape[:-2]) if shape[:-2] else ()
            box = (slice(int(y[0]), int(y[-1]) + 1), slice(int(x.min()), int(x.max()) + 1))
            yield tuple(int(i) for i in index), box


def in_box(
    shape: tuple[int, ...],
    index: Index,
    box: Box,
    before: npt.NDArray[np.integer],
    after: npt.NDArray[np.integer],
) -> Delta:
    """Return the change of `before` into `after`, the contents of a box of one plane."""
    y, x = np.nonzero(before != after)
    plane = np.ravel_multi_index(index, shape[:-2]) if shape[:-2] else 0
    rows, columns = shape[-2:]
    positions = (int(plane) * rows + y + box[0].start) * columns + x + box[1].start
    return Delta(
        positions.astype(np.int64, copy=False),
        before[y, x].astype(np.int32),
        after[y, x].astype(np.int32),
    )


def _values(array: npt.NDArray[np.integer], positions: Positions) -> npt.NDArray[np.integer]:
    if array.flags.c_contiguous:
        return array.reshape(-1)[positions]
    return array[np.unravel_index(positions, array.shape)]


def _distinct(values: Int32Array) -> Int32Array:
    """Return the different values; neighbours are mostly equal, which saves the sorting."""
    first = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.unique(values[np.append(0, first)]) if values.size else values
