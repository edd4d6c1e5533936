"""Objects that are predicted again keep their numbers, until new ones are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.renumber import renumber
from napari_cellseg.core.overlap import overlap_table
from napari_cellseg.session.corrections.delta import Delta, Int32Array

HIGHEST_ID = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Renumbered:
    """The numbers 1 to n for all objects, in reading order, found but not yet given.

    Attributes
    ----------
    pixels
        The change of the labels.
    ids
        New number of each old one.
    version
        Of the document whose labels these were.
    """

    pixels: Delta
    ids: Mapping[int, int]
    version: int


def renumbered(labels: Int32Array, version: int) -> Renumbered:
    """Find the numbers 1 to n for the objects of `labels`, int32 (T?, Z?, Y, X)."""
    new, ids = renumber(labels)
    return Renumbered(Delta.between(labels, new), ids, version)


def keep_numbers(
    previous: Int32Array, labels: Int32Array, fixed: tuple[int, ...], highest: int
) -> Int32Array:
    """Give each object of `labels` the number of the object of `previous` that it continues.

    It continues the one with which it shares most pixels, if that one too shares most with it.
    All others get numbers that no object ever had, as long as there are any.

    Parameters
    ----------
    previous, labels
        int32 of one shape.
    fixed
        Objects of `labels` whose numbers are right already, such as locked ones.
    highest
        No object has or had a number above it.
    """
    table = overlap_table(previous, labels)
    free = ~np.isin(table.pred_ids, fixed)
    if not free.any():
        return labels
    old = np.zeros(len(table.pred_ids), np.int64)
    mine, its, shared = table.pred_index, table.true_index, table.overlap
    usable = free[mine] & ~np.isin(table.true_ids[its], fixed)
    mine, its, shared = mine[usable], its[usable], shared[usable]
    best_old = _partner(mine, its, shared, len(table.pred_ids))
    best_new = _partner(its, mine, shared, len(table.true_ids))
    mutual = best_old >= 0
    mutual[mutual] = best_new[best_old[mutual]] == np.flatnonzero(mutual)
    old[mutual] = table.true_ids[best_old[mutual]]
    fresh = np.flatnonzero(free & (old == 0))
    known = np.union1d(table.true_ids, table.pred_ids[~free])
    old[fresh] = unused_numbers(fresh.size, highest, known)
    return _renamed(labels, table.pred_ids[free], old[free])


def unused_numbers(
    count: int, highest: int, taken: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """Return `count` numbers above `highest`; the lowest that are not `taken` if that is too high.

    Parameters
    ----------
    count
        How many objects need a number.
    highest
        No object has or had a number above it.
    taken
        Numbers of the objects that there are.
    """
    if highest + count <= HIGHEST_ID:
        return np.arange(highest + 1, highest + 1 + count, dtype=np.int64)
    lowest = np.arange(1, count + len(taken) + 1, dtype=np.int64)
    return lowest[~np.isin(lowest, taken)][:count]


def _renamed(
    labels: Int32Array, ids: npt.NDArray[np.integer], names: npt.NDArray[np.int64]
) -> Int32Array:
    """Give the objects `ids` other `names`; all other objects keep theirs."""
    if (names == ids).all():
        return labels
    last = int(ids.max())
    table = np.arange(last + 1, dtype=np.int32)
    table[ids] = names
    if int(labels.max()) <= last:
        kept: Int32Array = table[labels]
        return kept
    # Locked objects may have numbers up to 2**31 - 1, for which a table would be too long.
    return np.where(labels > last, labels, table[np.minimum(labels, last)])


def _partner(
    own: np.ndarray, other: np.ndarray, shared: np.ndarray, count: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the index of the partner with the largest share, the first of equals; -1 if none."""
    best = np.full(count, -1, np.int64)
    order = np.lexsort((-other, shared, own))  # the last one written is the largest, then first
    best[own[order]] = other[order]
    return best
