"""What the probability maps say along the outline of every object, and within it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.review.shapes import FloatArray, IntArray, Shapes

ProbabilityMap = npt.NDArray[np.uint8] | npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Outlines:
    """What the maps say about each object, float64 (N,); 0 where a map is missing.

    Attributes
    ----------
    unsure_edge
        1 less the fall of the foreground across the outline against background, from the mean of
        two pixels inside to that of two outside. The fall is twice the mean margin by which
        pixels on both sides keep to their side of a threshold, whatever the threshold.
    unsure_inside
        1 less the mean foreground of the object.
    open_contact
        Share of the outline that is shared with other objects, times what the contour there lacks
        to 1: of four pixels across, the highest counts.
    contour_inside
        Mean contour of the object.
    changed
        Mean difference of all maps, added up, between two runs of the network.
    """

    unsure_edge: FloatArray
    unsure_inside: FloatArray
    open_contact: FloatArray
    contour_inside: FloatArray
    changed: FloatArray


def measure_outlines(
    shapes: Shapes,
    foreground: ProbabilityMap | None = None,
    contour: ProbabilityMap | None = None,
    flipped: tuple[ProbabilityMap | None, ProbabilityMap | None] = (None, None),
) -> Outlines:
    """Compare all objects of a plane with the maps that they came from.

    Parameters
    ----------
    shapes
        The objects.
    foreground, contour
        Probabilities (Y, X), uint8 for 0..255 or floating for 0..1.
    flipped
        The same two maps of another run, for instance of the flipped image (turned back).
    """
    none = np.zeros(len(shapes.ids))
    outline, free, fall, lack = none.copy(), none.copy(), none.copy(), none.copy()
    for sides in _sides_of(shapes.place):
        outline += shapes.sums(sides.owner)
        if foreground is not None:
            edge = sides.chosen(sides.other == 0)
            near, out = np.split(_at(foreground, edge.across), 2)
            free += shapes.sums(edge.owner)
            fall += shapes.sums(edge.owner, (near - out).mean(0))
        if contour is not None:
            touch = sides.chosen(sides.other > 0)
            lack += shapes.sums(touch.owner, 1 - _at(contour, touch.across).max(0))
    edges = free > 0
    fall[edges] /= free[edges]
    changed = none.copy()
    for once, again in zip((foreground, contour), flipped, strict=True):
        if once is not None and again is not None:
            changed += shapes.means(_difference(once, again)) / _unit(once)
    return Outlines(
        unsure_edge=np.where(edges, 1 - fall, 0.0),
        unsure_inside=none
        if foreground is None
        else 1 - shapes.means(foreground) / _unit(foreground),
        open_contact=lack / np.maximum(outline, 1),
        contour_inside=none if contour is None else shapes.means(contour) / _unit(contour),
        changed=changed,
    )


@dataclass(frozen=True, eq=False)
class _Sides:
    """Sides of pixels of objects; `across` is (4, M): flat positions, the owner's two first."""

    owner: npt.NDArray[np.int32]
    other: npt.NDArray[np.int32]
    across: IntArray

    def chosen(self, which: npt.NDArray[np.bool_]) -> _Sides:
        return _Sides(self.owner[which], self.other[which], self.across[:, which])


def _sides_of(place: npt.NDArray[np.int32]) -> Iterator[_Sides]:
    """Yield all sides of pixels of objects at which `place` (Y, X) changes, in four parts."""
    height, width = place.shape
    flat = place.reshape(-1)
    for changes, length, step in (
        (place[:, :-1] != place[:, 1:], width, 1),
        (place[:-1] != place[1:], height, width),
    ):
        row, column = np.divmod(np.flatnonzero(changes), changes.shape[1])
        near = row * width + column
        along = column if step == 1 else row
        # At the rim of the image the outermost pixel counts twice.
        before = near - step * (along > 0)
        after = near + step + step * (along + 2 < length)
        across = np.stack([before, near, near + step, after])
        sides = _Sides(flat[near], flat[near + step], across)
        yield sides.chosen(sides.owner > 0)
        yield _Sides(sides.other, sides.owner, across[::-1]).chosen(sides.other > 0)


def _unit(probability: ProbabilityMap) -> float:
    return 255.0 if probability.dtype == np.uint8 else 1.0


def _at(probability: ProbabilityMap, positions: IntArray) -> npt.NDArray[np.float32]:
    return probability.reshape(-1)[positions].astype(np.float32) / np.float32(_unit(probability))


def _difference(a: ProbabilityMap, b: ProbabilityMap) -> ProbabilityMap:
    if a.dtype == b.dtype == np.uint8:
        return np.maximum(a, b) - np.minimum(a, b)
    difference: npt.NDArray[np.floating] = np.abs(a / _unit(a) - b / _unit(b))
    return difference * _unit(a)
