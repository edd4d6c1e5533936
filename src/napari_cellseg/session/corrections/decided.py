"""What a prediction must leave alone, as a frozen value for a worker."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.session.corrections.delta import Box, Index, Int32Array
from napari_cellseg.session.corrections.frozen import Frozen
from napari_cellseg.session.locks import Locks

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Decided:
    """The labels as they are and what a person decided about them.

    Attributes
    ----------
    frozen
        The labels as they were then.
    locked
        Objects that stay byte-identical.
    erased
        True where a person erased; None if nowhere.
    highest
        No object has or had a number above it.
    reviewed
        True where a person said that everything is right: it stays so; None if nowhere.
    handled
        Whether a person decided anything; until then objects may be renumbered.
    """

    frozen: Frozen
    locked: tuple[int, ...]
    erased: BoolArray | None
    highest: int
    handled: bool
    reviewed: BoolArray | None = None

    @property
    def labels(self) -> Int32Array:
        """int32 (T?, Z?, Y, X), not to be written to; the first look may copy them: in a worker."""
        return self.frozen.labels

    def part(self, index: Index, box: Box) -> Decided:
        """Return the same of a box of one plane (for a worker); labels and masks are 2-D."""
        region: tuple[int | slice, ...] = (*index, *box)
        part = np.ascontiguousarray(self.labels[region])
        erased, reviewed = (None if m is None else m[region] for m in (self.erased, self.reviewed))
        return replace(self, frozen=Frozen.of(part), erased=erased, reviewed=reviewed)

    def locks(self) -> Locks:
        """Return the decided pixels.

        Of the reviewed area these are its background and, whole, the objects of which more than
        half lies inside.
        """
        locked = np.asarray(self.locked, np.int32)
        free = np.zeros(self.labels.shape, dtype=bool)
        for mask in (self.erased, self.reviewed):
            if mask is not None:
                free |= mask
        if self.reviewed is not None:
            locked = np.union1d(locked, _mostly_inside(self.labels, self.reviewed))
        if not locked.size and not free.any():
            return Locks.none()
        kept = np.isin(self.labels, locked) | (free & (self.labels == 0))
        positions = np.flatnonzero(kept)
        return Locks(positions, self.labels.reshape(-1)[positions])


def _mostly_inside(labels: Int32Array, area: BoolArray) -> Int32Array:
    """Return the objects of which more than half lies in `area`."""
    ids, inside = np.unique(labels[area], return_counts=True)
    inside, ids = inside[ids > 0], ids[ids > 0]
    outside = labels[~area]
    found, count = np.unique(outside[np.isin(outside, ids)], return_counts=True)
    rest = np.zeros(ids.size, np.int64)
    rest[np.searchsorted(ids, found)] = count
    kept: Int32Array = ids[inside > rest]
    return kept
