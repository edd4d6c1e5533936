"""The objects of a plane with their runs of pixels side by side, so that few can be taken out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.review.shapes import FloatArray, IntArray, Shapes, measure_shapes

__all__ = ["FloatArray", "IntArray", "Objects", "Runs", "find_objects", "groups", "per_object"]

_PORTION = 400_000  # pixels; a portion takes some tens of milliseconds and little memory


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of pixels of some objects: by object, then by row, then by column; R runs.

    Attributes
    ----------
    owner
        Place of the run's object among these objects, (R,).
    row, left, right
        Row, and first and last column of the run, (R,).
    count
        How many objects there are.
    """

    owner: IntArray
    row: IntArray
    left: IntArray
    right: IntArray
    count: int

    def pixels(self, width: int) -> tuple[IntArray, IntArray]:
        """Return owner and flat position of every pixel in a plane of that width."""
        length = self.right - self.left + 1
        begin = self.row * width + self.left
        shift = begin - np.cumsum(length) + length
        position = np.repeat(shift, length) + np.arange(int(length.sum()))
        return np.repeat(self.owner, length), position


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of one plane, ids ascending; N objects.

    Attributes
    ----------
    shapes
        Their ids, areas, centres, and the plane by their places.
    runs
        All their runs.
    first
        Where the runs of each object begin, and the number of runs, (N + 1,).
    """

    shapes: Shapes
    runs: Runs
    first: IntArray

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width of the plane in pixels."""
        height, width = self.shapes.place.shape
        return height, width

    def portions(self) -> Iterator[tuple[slice, Runs]]:
        """Iterate over some objects at a time: their places in the ids, and their runs.

        Without objects there is one portion of none.
        """
        number = len(self.shapes.ids)
        turn = np.cumsum(self.shapes.area) // _PORTION
        stops = np.append(np.flatnonzero(np.diff(turn)) + 1, number)
        start = 0
        for stop in map(int, stops):
            part = slice(int(self.first[start]), int(self.first[stop]))
            runs = self.runs
            yield (
                slice(start, stop),
                Runs(
                    runs.owner[part] - start,
                    runs.row[part],
                    runs.left[part],
                    runs.right[part],
                    stop - start,
                ),
            )
            start = stop


def find_objects(labels: npt.NDArray[np.integer]) -> Objects:
    """Find the objects of a plane (Y, X); 0 is background.

    Raises
    ------
    DataError
        If it is not a plane of integers.
    """
    shapes = measure_shapes(labels)
    number, width = len(shapes.ids), labels.shape[1]
    length = np.diff(shapes.run_start, append=labels.size)
    some = np.flatnonzero(shapes.run_place)
    # Sorting place and position as one number takes a fifth of the time of a stable argsort.
    owner, order = np.divmod(np.sort(shapes.run_place[some] * np.int64(2**32) + some), 2**32)
    owner -= 1
    row, left = np.divmod(shapes.run_start[order], width)
    runs = Runs(owner, row, left, left + length[order] - 1, number)
    return Objects(shapes, runs, np.searchsorted(owner, np.arange(number + 1)))


def groups(new: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Return where groups begin and end (their last members), given what begins a new one."""
    begin = np.flatnonzero(new)
    return begin, np.append(begin, len(new))[1:] - 1


def per_object(
    function: np.ufunc, values: npt.NDArray[np.int64], first: IntArray
) -> npt.NDArray[np.int64]:
    """Reduce values of runs to one an object, (N,); every object has at least one run."""
    reduced: npt.NDArray[np.int64] = function.reduceat(values, first[:-1])
    return reduced
