"""Scores of a fit, and how far the difference of two of them goes beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.overlap import match, overlap_table, ratio

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

COLUMNS = 4


@dataclass(frozen=True)
class FitScore:
    """How well labels agree with what a person reviewed.

    Attributes
    ----------
    pq
        Panoptic quality, `napari_cellseg.core.metrics.panoptic_quality`.
    ap
        AP at IoU 0.5.
    """

    pq: float
    ap: float

    @property
    def mean(self) -> float:
        """Mean of both, which a fit makes as high as it can."""
        return (self.pq + self.ap) / 2


def tally(
    truth: npt.NDArray[np.int32],
    labels: npt.NDArray[np.int32],
    known: BoolArray,
    nearest: npt.NDArray[np.int32],
) -> FloatArray:
    """Count for each true object what it adds to numerator and denominator of PQ and of AP.

    Parameters
    ----------
    truth
        True objects 1..N, (Y, X).
    labels
        Predicted objects, (Y, X), any ids.
    known
        Where it is known what is there. A predicted object without a partner is an error only if
        at least half of it lies there.
    nearest
        Number 0..N-1 of the true object nearest to each pixel, which such an error is put down to.

    Returns
    -------
    array (max(N, 1), 4)
        Sum of IoU; TP + FP / 2 + FN / 2, of pairs with IoU > 0.5; TP; TP + FP + FN, of pairs with
        IoU >= 0.5. Sums over any objects give the PQ (first by second) and AP (third by fourth).
    """
    table = overlap_table(truth, labels)
    number = table.true_ids.astype(np.int64) - 1
    counts = np.zeros((max(len(number), 1), COLUMNS))
    counts[number, 1] = 0.5
    counts[number, 3] = 1.0
    wrong = judged(labels, known, table.pred_ids)
    at = nearest.reshape(-1)[first_pixels(labels, table.pred_ids)]
    for strict, column in ((True, 0), (False, 2)):
        pairs = match(table, 0.5, strict=strict)
        counts[number[pairs.true_index], column] = pairs.iou if strict else 1.0
        if strict:
            counts[number[pairs.true_index], 1] = 1.0
        alone = wrong.copy()
        alone[pairs.pred_index] = False
        np.add.at(counts[:, column + 1], at[alone], 0.5 if strict else 1.0)
    return counts


def judged(labels: npt.NDArray[np.int32], known: BoolArray, ids: npt.NDArray[Any]) -> BoolArray:
    """Say of each predicted object whether at least half of it lies where things are known."""
    area = np.bincount(labels.reshape(-1))
    inside = np.bincount(labels[known], minlength=area.size)
    wholly: BoolArray = (2 * inside >= area)[ids]
    return wholly


def first_pixels(labels: npt.NDArray[np.int32], ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the flat position of one pixel of each object."""
    flat = labels.reshape(-1)
    inside = np.flatnonzero(flat)
    place = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    place[flat[inside]] = inside
    return np.asarray(place[ids])


def score_of(counts: FloatArray) -> FitScore:
    """Return the score of objects with these counts, see `tally`."""
    iou, pairs, tp, objects = counts.sum(axis=0)
    return FitScore(ratio(iou, pairs), ratio(tp, objects))


def standard_error(before: FloatArray, after: FloatArray) -> float:
    """Return the standard error of the difference of the mean scores of two tallies.

    It is that of a paired bootstrap over the true objects, to first order: from the influence of
    each object on the two ratios (Efron and Tibshirani 1993, An introduction to the bootstrap,
    chapter 21), which needs no random numbers and no repetition. Infinite for a single object.
    """
    n = len(before)
    if n < 2:
        return math.inf
    difference = _influence(after) - _influence(before)
    return math.sqrt(float(np.square(difference).sum()) * n / (n - 1))


def _influence(counts: FloatArray) -> FloatArray:
    total = np.zeros(len(counts))
    sums = counts.sum(axis=0)
    for part, whole in ((0, 1), (2, 3)):
        if sums[whole]:
            share = sums[part] / sums[whole]
            total += (counts[:, part] - share * counts[:, whole]) / sums[whole] / 2
    return total
