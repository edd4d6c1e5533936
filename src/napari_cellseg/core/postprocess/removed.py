"""What a rule took away: how many objects, and which pixels each of them had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Removed:
    """Objects that one rule removed.

    Attributes
    ----------
    rule
        The parameter that did it, such as ``"min_area"``.
    shape
        (Y, X) of the whole picture, in which all positions are given.
    pixels
        Row-major positions of the pixels of all objects, one object after the other.
    bounds
        (count + 1,): object ``i`` has ``pixels[bounds[i]:bounds[i + 1]]``.
    """

    rule: str
    shape: tuple[int, int]
    pixels: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many objects the rule removed."""
        return len(self.bounds) - 1

    @property
    def areas(self) -> npt.NDArray[np.int64]:
        """Pixels of each object, (count,)."""
        return np.diff(self.bounds)

    def coordinates(self, index: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return (y, x) of the pixels of one object: it can be painted back with them."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        mine = self.pixels[self.bounds[index] : self.bounds[index + 1]]
        return mine // self.shape[1], mine % self.shape[1]

    def box(self, index: int) -> tuple[slice, slice]:
        """Return the bounding box of one object."""
        y, x = self.coordinates(index)
        return slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)

    def paint(self, canvas: npt.NDArray[np.int32]) -> None:
        """Write 1, 2, ... for the objects into `canvas`, (Y, X), to highlight them."""
        canvas[self.pixels // self.shape[1], self.pixels % self.shape[1]] = np.repeat(
            np.arange(1, self.count + 1, dtype=np.int32), self.areas
        )

    def at(self, y: int, x: int) -> int | None:
        """Return the index of the object that had pixel (y, x), or None."""
        found = np.flatnonzero(self.pixels == y * self.shape[1] + x)
        if not len(found):
            return None
        return int(np.searchsorted(self.bounds, found[0], side="right")) - 1

    def within(self, region: tuple[slice, slice]) -> Removed:
        """Return only the objects that have a pixel inside `region`."""
        rows, columns = region
        y, x = self.pixels // self.shape[1], self.pixels % self.shape[1]
        inside = (y >= rows.start) & (y < rows.stop) & (x >= columns.start) & (x < columns.stop)
        owner = np.repeat(np.arange(self.count), self.areas)
        kept = np.zeros(self.count, bool)
        kept[owner[inside]] = True
        bounds = np.concatenate([[0], np.cumsum(self.areas[kept])])
        return Removed(self.rule, self.shape, self.pixels[kept[owner]], bounds)
