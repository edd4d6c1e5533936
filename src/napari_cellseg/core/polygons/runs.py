"""Objects of a plane as runs of pixels, and runs back to labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of pixels, flat positions in a plane (C order); N runs, those of an object together.

    Attributes
    ----------
    owner
        Number of the object, (N,).
    start, stop
        First position, and the one after the last, (N,). A run may go on in the next row.
    """

    owner: IntArray
    start: IntArray
    stop: IntArray

    def by_object(self) -> tuple[IntArray, IntArray]:
        """Return the numbers of the K objects, and where their runs begin and end, (K + 1,)."""
        ids, first = np.unique(self.owner, return_index=True)
        return ids, np.append(first, len(self.owner))


class Painted(NamedTuple):
    """Labels int32 (Y, X), and how many pixels more than one object wanted."""

    labels: npt.NDArray[np.int32]
    overlap: int


def runs_of(labels: npt.NDArray[Any]) -> Runs:
    """Return the runs of all objects, ascending by object and place.

    Parameters
    ----------
    labels
        Object numbers (Y, X), 0 is background. Give ``labels.T`` for runs along columns.
    """
    flat = labels.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = np.append(0, changes)
    stop = np.append(changes, flat.size)
    inside = flat[start] > 0
    start, stop = start[inside], stop[inside]
    owner = flat[start].astype(np.int64)
    order = np.argsort(owner, kind="stable")
    return Runs(owner[order], start[order], stop[order])


def paint(runs: Runs, shape: tuple[int, int]) -> Painted:
    """Return labels (Y, X) from runs in C order; where objects overlap, the smaller one is seen.

    Parameters
    ----------
    runs
        Within the plane; an object's own runs may overlap.
    shape
        Height and width.
    """
    ids, place = np.unique(runs.owner, return_inverse=True)
    length = runs.stop - runs.start
    size = np.bincount(place, length, len(ids))
    largest_first = np.argsort(-size[place], kind="stable")
    length, owner = length[largest_first], runs.owner[largest_first]
    before = np.cumsum(length) - length
    total = int(length.sum())
    positions = np.repeat(runs.start[largest_first] - before, length) + np.arange(total)
    owners = np.repeat(owner.astype(np.int32), length)
    labels = np.zeros(shape[0] * shape[1], np.int32)
    labels[positions] = owners  # of several values for one pixel, the last one stays
    overlap = _overlap(positions, owners, labels)
    return Painted(labels.reshape(shape), overlap)


def _overlap(positions: IntArray, owners: npt.NDArray[Any], labels: npt.NDArray[Any]) -> int:
    hidden = positions[labels[positions] != owners]
    return len(np.unique(hidden))
