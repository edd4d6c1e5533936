"""The pixels that a person erased: they stay background, whatever is predicted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.session.corrections.delta import Delta, Positions


class Erased:
    """A mask of the labels' shape, without memory as long as nothing is erased."""

    def __init__(self, shape: tuple[int, ...], positions: Positions | None = None) -> None:
        self._shape = shape
        self._mask: npt.NDArray[np.bool_] | None = None
        if positions is not None:
            self._set(positions, True)

    @classmethod
    def of(cls, shape: tuple[int, ...], mask: npt.NDArray[np.bool_] | None) -> Erased:
        """Return what a mask says, None for nothing; the mask is not copied."""
        found = cls(shape)
        found._mask = mask
        return found

    @property
    def positions(self) -> Positions:
        """Flat positions, ascending."""
        return np.empty(0, np.int64) if self._mask is None else np.flatnonzero(self._mask)

    def copy(self) -> npt.NDArray[np.bool_] | None:
        """Return a mask of its own, None if nothing was ever erased."""
        return None if self._mask is None else self._mask.copy()

    def effect(self, pixels: Delta) -> tuple[Positions, Positions]:
        """Return the positions that a person's change frees, and those that it claims.

        Freed ones are background from then on and were not erased before; claimed ones were.
        """
        freed = pixels.positions[pixels.after == 0]
        if self._mask is None:
            return freed, freed[:0]
        claimed = pixels.positions[pixels.after > 0]
        flat = self._mask.reshape(-1)
        return freed[~flat[freed]], claimed[flat[claimed]]

    def mark(self, freed: Positions, claimed: Positions) -> None:
        """Note positions that are erased from now on, and others that no longer are."""
        self._set(freed, True)
        self._set(claimed, False)

    def _set(self, positions: Positions, erased: bool) -> None:
        if not positions.size:
            return
        if self._mask is None:
            self._mask = np.zeros(self._shape, dtype=bool)
        self._mask.reshape(-1)[positions] = erased
