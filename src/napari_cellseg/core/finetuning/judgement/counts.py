"""What each true object adds to the scores of a labelling, where it is known what is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.fitting.regions import nearest_object
from napari_cellseg.core.fitting.reviewed import BoolArray, Int32Array
from napari_cellseg.core.fitting.tally import FloatArray, first_pixels, judged
from napari_cellseg.core.metrics import THRESHOLDS
from napari_cellseg.core.overlap import OverlapTable, match, overlap_table

IntArray = npt.NDArray[np.int64]

METRICS = ("ap50", "map", "pq", "aji", "dice")

_PQ, _AJI, _DICE = len(THRESHOLDS), len(THRESHOLDS) + 1, len(THRESHOLDS) + 2
_BLOCK_DIAMETERS = 4.0  # neighbours share their faults: dirt, blur, one shape over two cells
_MOST_BLOCKS = 256  # of an image


@dataclass(frozen=True, eq=False)
class _Overlaps:
    """A labelling laid over the truth.

    Attributes
    ----------
    table
        Which objects overlap.
    number
        Row 0..N-1 of each true object of the table.
    at
        Row to which an error of each predicted object is put down.
    wrong
        Whether each predicted object is an error if it has no partner.
    rows
        max(N, 1).
    """

    table: OverlapTable
    number: IntArray
    at: IntArray
    wrong: BoolArray
    rows: int

    def unpaired(self, taken: IntArray, weight: FloatArray) -> FloatArray:
        """Return the weight of the predicted objects that are not taken, by row."""
        alone = self.wrong.copy()
        alone[taken] = False
        sums = np.bincount(self.at[alone], weight[alone], minlength=self.rows)
        return sums.astype(np.float64)


def counts(
    truth: Int32Array,
    labels: npt.NDArray[np.int32],
    known: BoolArray,
    nearest: Int32Array | None = None,
) -> FloatArray:
    """Count for each true object what it adds to numerator and denominator of every score.

    Errors without a true object of their own are put down to the nearest one.

    Parameters
    ----------
    truth
        True objects 1..N, (Y, X).
    labels
        Predicted objects (Y, X), any ids.
    known
        Where it is known what is there, (Y, X). A predicted object without a partner counts only
        if at least half of it lies there.
    nearest
        `nearest_object` of the truth, if it is at hand.

    Returns
    -------
    array (max(N, 1), 13, 2)
        AP at each of `THRESHOLDS`, PQ, AJI and Dice; see `scores_of`. Where all is known, sums
        over the objects give what `napari_cellseg.core.metrics.score` says.
    """
    table = overlap_table(truth, labels)
    nearest = nearest_object(truth) if nearest is None else nearest
    overlaps = _Overlaps(
        table=table,
        number=table.true_ids.astype(np.int64) - 1,
        at=nearest.reshape(-1)[first_pixels(labels, table.pred_ids)].astype(np.int64),
        wrong=judged(labels, known, table.pred_ids),
        rows=max(len(table.true_ids), 1),
    )
    result = np.zeros((overlaps.rows, _DICE + 1, 2))
    _count_pairs(overlaps, result)
    _count_overlaps(overlaps, result[:, _AJI])
    # What touches a true object is no stranger, and counts as far as things are known.
    ours = overlaps.wrong.copy()
    ours[table.pred_index] = True
    cell = np.isin(labels, table.pred_ids[ours]) & known
    result[:, _DICE, 0] = 2 * np.bincount(nearest[cell & (truth > 0)], minlength=overlaps.rows)
    result[:, _DICE, 1] = np.bincount(nearest[cell], minlength=overlaps.rows)
    result[overlaps.number, _DICE, 1] += table.true_area
    return result


def _count_pairs(overlaps: _Overlaps, result: FloatArray) -> None:
    """Fill in AP and PQ: TP / (TP + FP + FN), and sum of IoU / (TP + FP / 2 + FN / 2)."""
    number, each = overlaps.number, np.ones(len(overlaps.table.pred_ids))
    for k, threshold in enumerate(THRESHOLDS):
        pairs = match(overlaps.table, threshold)
        result[number[pairs.true_index], k, 0] = 1
        result[number, k, 1] = 1
        result[:, k, 1] += overlaps.unpaired(pairs.pred_index, each)
    pairs = match(overlaps.table, 0.5, strict=True)
    result[number[pairs.true_index], _PQ, 0] = pairs.iou
    result[number, _PQ, 1] = 0.5
    result[number[pairs.true_index], _PQ, 1] = 1
    result[:, _PQ, 1] += overlaps.unpaired(pairs.pred_index, each / 2)


def _count_overlaps(overlaps: _Overlaps, aji: FloatArray) -> None:
    """Fill in AJI: intersection and union of each true object and the best predicted one."""
    table = overlaps.table
    best = table.best
    found = overlaps.number[table.true_index[best]]
    aji[overlaps.number, 1] = table.true_area
    aji[found, 0], aji[found, 1] = table.overlap[best], table.union[best]
    aji[:, 1] += overlaps.unpaired(table.pred_index[best], table.pred_area.astype(np.float64))


def scores_of(sums: FloatArray) -> FloatArray:
    """Return the scores of summed counts.

    Parameters
    ----------
    sums
        (..., 13, 2), see `counts`.

    Returns
    -------
    array (..., 6)
        `METRICS`, and the mean of AP at IoU 0.5 and PQ. A ratio of nothing to nothing is 1.
    """
    part, whole = sums[..., 0], sums[..., 1]
    values = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 1.0)
    ap, pq = values[..., :_PQ], values[..., _PQ]
    columns = [ap[..., 0], ap.mean(axis=-1), pq, values[..., _AJI], values[..., _DICE]]
    return np.stack([*columns, (ap[..., 0] + pq) / 2], axis=-1)


def blocks(truth: Int32Array) -> IntArray:
    """Return in which block of neighbouring objects each true object lies.

    Blocks are squares, four median diameters wide, and at most 256 an image.

    Parameters
    ----------
    truth
        True objects 1..N, (Y, X).

    Returns
    -------
    Any number a block, (max(N, 1),).
    """
    areas = np.bincount(truth.reshape(-1))[1:]
    if not areas.size:
        return np.zeros(1, np.int64)
    diameter = 2 * math.sqrt(float(np.median(areas)) / math.pi)
    side = max(_BLOCK_DIAMETERS * diameter, math.sqrt(truth.size / _MOST_BLOCKS))
    y, x = np.divmod(first_pixels(truth, np.arange(1, areas.size + 1)), truth.shape[1])
    across = math.ceil(truth.shape[1] / side)
    return np.asarray(y // side * across + x // side, np.int64)
