"""Which true and predicted objects overlap, and which are taken for the same cell.

Labels are integer arrays of any shape and integer dtype; 0 is background, every other id is one
object, ids need not be consecutive. A ratio of nothing to nothing is 1.0: both sides agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError, SettingsError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def ratio(part: float, whole: float) -> float:
    """Part of the whole; 1.0 of nothing, as both sides then agree that there is nothing."""
    return float(part / whole) if whole else 1.0


@dataclass(frozen=True, eq=False)
class OverlapTable:
    """Pixels that objects share; pairs that share none have no entry.

    Attributes
    ----------
    true_ids, pred_ids
        Ids of the objects in the order in which they first appear, (n_true,) and (n_pred,).
    true_area, pred_area
        Their sizes in pixels.
    true_index, pred_index
        One entry an overlapping pair: positions in ``true_ids`` and ``pred_ids``.
    overlap
        Pixels that the two objects of a pair share, all above 0.
    pixels
        Pixels of the whole picture.
    """

    true_ids: npt.NDArray[Any]
    pred_ids: npt.NDArray[Any]
    true_area: IntArray
    pred_area: IntArray
    true_index: IntArray
    pred_index: IntArray
    overlap: IntArray
    pixels: int

    @cached_property
    def union(self) -> IntArray:
        """Pixels that are in either object of a pair."""
        both = self.true_area[self.true_index] + self.pred_area[self.pred_index]
        return np.asarray(both - self.overlap)

    @cached_property
    def iou(self) -> FloatArray:
        """Intersection over union of every overlapping pair."""
        return np.asarray(self.overlap / self.union)

    @cached_property
    def best(self) -> IntArray:
        """The best pair of each true object that has one, in their order.

        That of the highest IoU, of equal IoU that of the larger overlap, then that of the predicted
        object that appears first, which may serve several.
        """
        order = np.lexsort((self.pred_index, -self.overlap, -self.iou, self.true_index))
        first = np.unique(self.true_index[order], return_index=True)[1]
        return np.asarray(order[first], np.int64)

    @property
    def pixel_counts(self) -> tuple[int, int, int]:
        """True positive, false positive and false negative pixels of cell against background."""
        shared = int(self.overlap.sum())
        return shared, int(self.pred_area.sum()) - shared, int(self.true_area.sum()) - shared


def overlap_table(true: npt.ArrayLike, pred: npt.ArrayLike) -> OverlapTable:
    """Count the pixels that every true object shares with every predicted one.

    Parameters
    ----------
    true, pred
        Integer (or bool) labels of one shape, 0 = background.

    Raises
    ------
    DataError
        If the shapes differ, or a label is negative or not an integer.
    """
    a, b = _checked(true, "true"), _checked(pred, "predicted")
    if a.shape != b.shape:
        raise DataError(
            f"True labels {a.shape} and predicted labels {b.shape} differ in shape; "
            "compare labels of the same picture, at the same scale."
        )
    a, b = a.ravel(), b.ravel()
    # Counting runs of equal pixels instead of pixels leaves a few percent of the sorting.
    starts = np.flatnonzero((a[1:] != a[:-1]) | (b[1:] != b[:-1])) + 1
    starts = np.append(np.zeros(min(a.size, 1), np.int64), starts)
    length = np.diff(np.append(starts, a.size))
    true_ids, i = _numbered(a[starts])
    pred_ids, j = _numbered(b[starts])
    columns = len(pred_ids) + 1
    pairs, k = np.unique(i * columns + j, return_inverse=True)
    overlap = _sums(k, length, len(pairs))
    first, second = np.divmod(pairs, columns)
    cells = (first > 0) & (second > 0)
    return OverlapTable(
        true_ids=true_ids,
        pred_ids=pred_ids,
        true_area=_sums(i, length, len(true_ids) + 1)[1:],
        pred_area=_sums(j, length, len(pred_ids) + 1)[1:],
        true_index=first[cells] - 1,
        pred_index=second[cells] - 1,
        overlap=overlap[cells],
        pixels=int(a.size),
    )


def _checked(labels: npt.ArrayLike, which: str) -> npt.NDArray[Any]:
    array = np.asarray(labels)
    if array.dtype == bool:
        array = array.view(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"The {which} labels are {array.dtype}, not integers; save them as an integer image."
        )
    if array.size and array.min() < 0:
        raise DataError(
            f"The {which} labels hold negative ids; use 0 for background and ids above 0."
        )
    return array


def _numbered(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], IntArray]:
    """Return the ids except 0 by first appearance, and 1 + each value's place there (0 for 0).

    By appearance and not by value, so that renaming objects cannot change how a tie is broken.
    """
    ids, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    first[ids == 0] = -1
    order = np.argsort(first)
    has_background = int(np.any(ids == 0))
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids)) + 1 - has_background
    return ids[order][has_background:], place[inverse]


def _sums(group: IntArray, length: IntArray, n: int) -> IntArray:
    # The weights of bincount are float64: exact up to 2**53 pixels.
    return np.bincount(group, weights=length, minlength=n).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of objects taken for the same cell, one to one.

    Attributes
    ----------
    true_index, pred_index
        The pairs, as positions in the table's ids.
    iou
        Intersection over union of each pair.
    n_true, n_pred
        Objects on either side.
    """

    true_index: IntArray
    pred_index: IntArray
    iou: FloatArray
    n_true: int
    n_pred: int

    @property
    def tp(self) -> int:
        """Matched objects."""
        return len(self.iou)

    @property
    def fp(self) -> int:
        """Predicted objects without a partner."""
        return self.n_pred - self.tp

    @property
    def fn(self) -> int:
        """True objects without a partner."""
        return self.n_true - self.tp

    @property
    def average_precision(self) -> float:
        """AP = TP / (TP + FP + FN)."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """F1 = 2 TP / (2 TP + FP + FN)."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def match(table: OverlapTable, threshold: float = 0.5, *, strict: bool = False) -> Matching:
    """Pair true and predicted objects one to one where their IoU reaches `threshold`.

    Above 0.5 an object can have only one partner. At 0.5 and below, as many pairs as possible are
    made, and among those choices the one with the largest sum of IoU is taken.

    `threshold` is above 0 and at most 1 (else `SettingsError`); `strict` demands IoU > threshold.
    """
    if not 0 < threshold <= 1:
        raise SettingsError(f"An IoU threshold is above 0 and at most 1, not {threshold}.")
    chosen = np.flatnonzero(table.iou > threshold if strict else table.iou >= threshold)
    if threshold < 0.5 or not strict:
        chosen = _one_to_one(table, chosen)
    return Matching(
        table.true_index[chosen],
        table.pred_index[chosen],
        table.iou[chosen],
        len(table.true_ids),
        len(table.pred_ids),
    )


def _one_to_one(table: OverlapTable, chosen: IntArray) -> IntArray:
    """Solve the assignment in every group of pairs that compete for the same objects."""
    i, j = table.true_index[chosen], table.pred_index[chosen]
    if not len(chosen) or max(np.bincount(i).max(), np.bincount(j).max()) == 1:
        return chosen
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(table.true_ids)
    size = n + len(table.pred_ids)
    graph = coo_array((np.ones(len(i), bool), (i, n + j)), shape=(size, size))
    group = connected_components(graph, directed=False)[1][i]
    order = np.argsort(group, kind="stable")
    kept = []
    for members in np.split(chosen[order], np.flatnonzero(np.diff(group[order])) + 1):
        rows, r = np.unique(table.true_index[members], return_inverse=True)
        columns, c = np.unique(table.pred_index[members], return_inverse=True)
        gain = np.zeros((len(rows), len(columns)))
        # One more pair outweighs any gain in IoU: the IoU terms add up to at most one half.
        gain[r, c] = 1 + table.iou[members] / (2 * min(gain.shape))
        pair = np.full(gain.shape, -1)
        pair[r, c] = members
        best = pair[linear_sum_assignment(gain, maximize=True)]
        kept.append(best[best >= 0])
    return np.sort(np.concatenate(kept))
