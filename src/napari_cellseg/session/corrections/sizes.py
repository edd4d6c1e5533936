"""How many pixels each object has, kept up to date: which objects there still are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.objects import runs
from napari_cellseg.session.corrections.delta import Delta, Int32Array


class Sizes:
    """Pixels of each object of a stack, of all planes together.

    Parameters
    ----------
    labels
        int32 (..., Y, X); no reference is kept.
    """

    def __init__(self, labels: Int32Array) -> None:
        self._pixels: dict[int, int] = {}
        for index in np.ndindex(labels.shape[:-2]):
            starts, stops, ids = runs(labels[index])
            self._add(ids, stops - starts)

    def __contains__(self, label: int) -> bool:
        return label in self._pixels

    def of(self, label: int) -> int:
        """Return how many pixels an object has, 0 if there is no such object."""
        return self._pixels.get(label, 0)

    def follow(self, pixels: Delta) -> None:
        """Note a change of the labels."""
        for values, sign in ((pixels.after, 1), (pixels.before, -1)):
            first = np.flatnonzero(np.diff(values, prepend=-1))
            self._add(values[first], sign * np.diff(first, append=values.size))

    def _add(self, ids: Int32Array, pixels: npt.NDArray[np.int64]) -> None:
        known, which = np.unique(ids, return_inverse=True)
        total = np.bincount(which, pixels, known.size).astype(np.int64)
        for label, count in zip(known.tolist(), total.tolist(), strict=True):
            left = self._pixels.pop(label, 0) + count
            if label > 0 and left:
                self._pixels[label] = left
