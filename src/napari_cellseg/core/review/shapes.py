"""Size, place and shape of every object of a plane, from its runs of pixels.

A run is a row of pixels of one object. There are far fewer runs than pixels, and sums over a run's
coordinates have closed forms, so that all moments cost little more than finding the runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


_LONGEST_TABLE = 2**22  # numbers up to this are looked up, which is faster than to sort them


@dataclass(frozen=True, eq=False)
class Shapes:
    """Objects of one plane, ids ascending; N objects.

    Attributes
    ----------
    ids
        Numbers of the objects, int64 (N,).
    place
        int32 (Y, X): 0 on background, 1 + the object's place in `ids` elsewhere.
    area
        Pixels, (N,).
    y, x
        Centre of mass in pixels, (N,).
    elongation
        Long over short axis of the ellipse with the same second moments, (N,), 1 or more.
    spread
        Area of that ellipse over the object's, (N,): 1 for an ellipse, 1.05 for a square, more for
        whatever is bent, notched, ragged or in pieces.
    border
        Pixels of the object on the rim of the image over the square root of its area, (N,).
    run_start, run_place
        Flat position of the first pixel of every run, of background too, and what `place` is there.
    """

    ids: IntArray
    place: npt.NDArray[np.int32]
    area: FloatArray
    y: FloatArray
    x: FloatArray
    elongation: FloatArray
    spread: FloatArray
    border: FloatArray
    run_start: IntArray
    run_place: npt.NDArray[np.int32]

    def sums(
        self, place: npt.NDArray[np.integer], weights: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Add up `weights`, or count, by object, (N,); `place` says whose each entry is."""
        return np.bincount(place, weights, len(self.ids) + 1)[1:].astype(np.float64)

    def means(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return the mean of `values` (Y, X) over the pixels of each object, (N,)."""
        if not len(self.ids):
            return np.zeros(0)
        exact = np.int64 if values.dtype.kind in "bui" else np.float64
        by_run = np.add.reduceat(values.reshape(-1), self.run_start, dtype=exact)
        return self.sums(self.run_place, by_run) / self.area


def measure_shapes(labels: npt.NDArray[np.integer]) -> Shapes:
    """Measure all objects of a plane.

    Parameters
    ----------
    labels
        Object numbers (Y, X), 0 is background. Numbers may have gaps and objects several pieces.

    Raises
    ------
    DataError
        If `labels` is not a plane of integers.
    """
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"Objects are measured in a plane of integers, not in {labels.dtype} of shape "
            f"{labels.shape}: give one plane of the labels."
        )
    new = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=new[:, 1:])
    starts = np.flatnonzero(new)
    length = np.diff(np.append(starts, labels.size))
    owner = labels.reshape(-1)[starts]
    cells = owner != 0
    ids, inside = _numbered(owner[cells])
    run_place = np.zeros(len(starts), np.int32)
    run_place[cells] = inside + 1
    place = np.repeat(run_place, length).reshape(labels.shape)
    row, column = np.divmod(starts[cells], labels.shape[1])
    moments = _moments(inside, len(ids), row, column, length[cells])
    border = _on_rim(place, moments[0])
    return Shapes(ids.astype(np.int64), place, *moments, border, starts, run_place)


def _numbered(owner: npt.NDArray[np.integer]) -> tuple[IntArray, IntArray]:
    """Return the distinct values, ascending, and the place of each entry among them."""
    highest = int(owner.max(initial=0))
    if highest > _LONGEST_TABLE or owner.min(initial=0) < 0:
        ids, inside = np.unique(owner, return_inverse=True)
        return ids.astype(np.int64), inside
    seen = np.zeros(highest + 1, bool)
    seen[owner] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[owner]


def _moments(
    owner: IntArray, count: int, row: IntArray, column: IntArray, length: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return area, y, x, elongation and spread; pixels count as squares, not as points."""

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(owner, values, count).astype(np.float64)

    n = length.astype(np.float64)
    area = total(n)
    middle = column + (n - 1) / 2
    y, x = total(n * row) / area, total(n * middle) / area
    # About the centre of mass, as coordinates squared would swallow the digits of small objects.
    dy, dx = row - y[owner], middle - x[owner]
    yy = total(n * dy * dy + n / 12) / area
    xx = total(n * dx * dx + n**3 / 12) / area
    yx = total(n * dy * dx) / area
    root = np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    mean = (yy + xx) / 2
    determinant = np.maximum(yy * xx - yx**2, 1 / 144)
    elongation = (mean + root) / np.sqrt(determinant)
    spread = 4 * np.pi * np.sqrt(determinant) / area
    return area, y, x, elongation, spread


def _on_rim(place: npt.NDArray[np.int32], area: FloatArray) -> FloatArray:
    # In a plane of one row or column the first is the last one, and counts once.
    bottom, right = place[1:][-1:], place[1:-1, 1:][:, -1:]
    rim = np.concatenate([place[0], bottom.ravel(), place[1:-1, 0], right.ravel()])
    on_rim = np.bincount(rim, minlength=len(area) + 1)[1:]
    return np.asarray(on_rim / np.sqrt(area), np.float64)
