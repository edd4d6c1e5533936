"""Closed outlines of objects, all of a plane in one structure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rings:
    """R closed rings with V vertices together; an object may have several.

    Attributes
    ----------
    owner
        Number of the object that each ring belongs to, (R,).
    offset
        Where the vertices of each ring begin, and their end, (R + 1,).
    xy
        Vertices (V, 2), x and y in pixels: the first pixel of a plane reaches from 0 to 1. The
        first vertex of a ring is not repeated at its end.
    """

    owner: IntArray
    offset: IntArray
    xy: npt.NDArray[Any]

    @classmethod
    def of(cls, rings: Iterable[tuple[int, npt.ArrayLike]]) -> Rings:
        """Return the rings, each given as its object and its vertices (n, 2); empty ones drop."""
        pairs = [(owner, np.asarray(xy, np.float64).reshape(-1, 2)) for owner, xy in rings]
        pairs = [(owner, xy) for owner, xy in pairs if len(xy)]
        lengths = [len(xy) for _, xy in pairs]
        return cls(
            np.array([owner for owner, _ in pairs], np.int64),
            np.append(0, np.cumsum(lengths)).astype(np.int64),
            np.concatenate([xy for _, xy in pairs]) if pairs else np.zeros((0, 2)),
        )

    @property
    def ring(self) -> IntArray:
        """Ring of each vertex, (V,)."""
        return np.repeat(np.arange(len(self.owner)), np.diff(self.offset))

    @property
    def following(self) -> npt.NDArray[Any]:
        """The vertex after each vertex, (V, 2)."""
        after = np.arange(1, len(self.xy) + 1)
        after[self.offset[1:] - 1] = self.offset[:-1]
        return self.xy[after]

    @property
    def area(self) -> npt.NDArray[np.float64]:
        """Signed area in pixels, (R,): above 0 where the ring turns from x to y (clockwise)."""
        if not len(self.owner):
            return np.zeros(0)
        start = np.repeat(self.xy[self.offset[:-1]], np.diff(self.offset), axis=0)
        (x, y), (u, v) = (self.xy - start).T, (self.following - start).T
        return np.asarray(np.add.reduceat(x * v - u * y, self.offset[:-1]) / 2, np.float64)

    def parts(self) -> list[npt.NDArray[Any]]:
        """Return the vertices of each ring."""
        return np.split(self.xy, self.offset[1:-1]) if len(self.owner) else []
