"""Pixels that a person has decided, and how predicted objects make room for them.

An object that a person edited, accepted or brought back is *locked*: it stays byte-identical under
every slider and re-run. Pixels that were erased are locked as background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Locks:
    """The decided pixels of one labels array.

    Attributes
    ----------
    positions
        Flat (C order) positions, ascending, int64 (N,).
    values
        Label at each position, int32 (N,); 0 where the person erased.
    """

    positions: npt.NDArray[np.int64]
    values: Int32Array

    @classmethod
    def none(cls) -> Locks:
        """Return locks that hold nothing."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int32))

    @property
    def ids(self) -> tuple[int, ...]:
        """Labels of the locked objects, ascending."""
        return tuple(int(label) for label in np.unique(self.values) if label > 0)

    def crop(self, shape: tuple[int, ...], box: tuple[slice, ...]) -> Locks:
        """Return the locks within `box` of an array of `shape`, as positions in that box."""
        if not self.positions.size:
            return self
        where = np.unravel_index(self.positions, shape)
        inside = np.ones(self.positions.size, dtype=bool)
        for index, part in zip(where, box, strict=True):
            inside &= (index >= part.start) & (index < part.stop)
        local = tuple(index[inside] - part.start for index, part in zip(where, box, strict=True))
        extent = tuple(part.stop - part.start for part in box)
        return Locks(
            np.ravel_multi_index(local, extent).astype(np.int64, copy=False), self.values[inside]
        )

    def flow_around(self, predicted: Int32Array) -> Int32Array:
        """Return `predicted` with the locked pixels as the person left them.

        A predicted object of which more than half lies on locked pixels is dropped; any other
        loses the overlap. A predicted object whose number a locked one bears gets a new number.
        """
        if not self.positions.size:
            return predicted
        labels = np.ascontiguousarray(predicted).copy()
        flat = labels.reshape(-1)
        under = flat[self.positions]
        # Locked objects may have numbers up to 2**31 - 1, predicted ones are numbered from 1 on.
        highest = int(flat.max(initial=0))
        table = np.arange(highest + 1, dtype=np.int32)
        met, overlap = np.unique(under[under > 0], return_counts=True)
        if met.size:
            area = np.bincount(flat, minlength=highest + 1)
            table[met[overlap * 2 > area[met]]] = 0
        taken = np.asarray(self.ids, dtype=np.int64)
        clashing = taken[taken <= highest]
        clashing = clashing[table[clashing] > 0]
        above = np.arange(highest + 1, highest + 1 + clashing.size + taken.size)
        table[clashing] = above[~np.isin(above, taken)][: clashing.size]
        changed = np.flatnonzero(table != np.arange(highest + 1))
        if changed.size:
            labels = table[labels]
            flat = labels.reshape(-1)
        flat[self.positions] = self.values
        return labels


def keep_inside(labels: Int32Array, mask: BoolArray | None) -> Int32Array:
    """Drop the objects of which more than half lies outside of `mask` (Y, X), whole.

    Parameters
    ----------
    labels
        Objects (..., Y, X).
    mask
        True inside the region that the user drew; None keeps everything.
    """
    if mask is None:
        return labels
    area = np.bincount(labels.reshape(-1))
    inside = np.bincount(labels[..., mask].reshape(-1), minlength=area.size)
    table = np.arange(area.size, dtype=np.int32)
    table[inside * 2 < area] = 0
    table[0] = 0
    return table[labels]
