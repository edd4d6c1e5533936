"""Sums from which every score of labels follows, object by object, so that they can be resampled.

A score of several planes or images together is the ratio of the added sums. The definitions are
those of `napari_cellseg.core.metrics`.
"""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.metrics import THRESHOLDS
from napari_cellseg.core.overlap import FloatArray, IntArray, OverlapTable, match

N_TRUE, N_PRED, PQ_IOU, PQ_TP, AJI_OVERLAP, AJI_UNION, PIXEL_TP, PIXEL_FP, PIXEL_FN = range(9)
TP = 9  # the first of one column a threshold
COLUMNS = TP + len(THRESHOLDS)


def _named(metric: str) -> tuple[str, ...]:
    return tuple(f"{metric}{round(100 * one)}" for one in THRESHOLDS)


AP_NAMES, F1_NAMES = _named("ap"), _named("f1_")
METRICS = ("map", "pq", "sq", "aji", "dice", "iou", *AP_NAMES, *F1_NAMES)
"""Names of the scores, as `napari_cellseg.core.metrics.Scores.as_row` has them."""


def tally(table: OverlapTable) -> FloatArray:
    """Count what each place of a plane adds to the scores.

    A place is a reference object with the segmented objects that overlap it more than any other
    reference object, or a segmented object that overlaps none.

    Returns
    -------
    array (places, COLUMNS)
        Sums of all places are those of the plane.
    """
    i, j, n = table.true_index, table.pred_index, len(table.true_ids)
    home = _homes(table)
    counts = np.zeros((int(home.max(initial=n - 1)) + 1, COLUMNS))
    counts[:n, N_TRUE] = 1
    np.add.at(counts[:, N_PRED], home, 1)
    for column, threshold in enumerate(THRESHOLDS, TP):
        counts[match(table, threshold).true_index, column] = 1
    pairs = match(table, 0.5, strict=True)
    counts[pairs.true_index, PQ_IOU] = pairs.iou
    counts[pairs.true_index, PQ_TP] = 1
    counts[:n, PIXEL_TP] = np.bincount(i, table.overlap, n)
    counts[:n, PIXEL_FN] = table.true_area - counts[:n, PIXEL_TP]
    shared = np.bincount(j, table.overlap, len(home))
    np.add.at(counts[:, PIXEL_FP], home, table.pred_area - shared)
    _add_jaccard(counts, table, home)
    return counts


def _homes(table: OverlapTable) -> IntArray:
    """Return the place of every segmented object."""
    i, j, n = table.true_index, table.pred_index, len(table.true_ids)
    home = np.full(len(table.pred_ids), -1, np.int64)
    order = np.lexsort((i, -table.overlap, j))
    found, first = np.unique(j[order], return_index=True)
    home[found] = i[order[first]]
    alone = home < 0
    home[alone] = n + np.arange(np.count_nonzero(alone))
    return home


def _add_jaccard(counts: FloatArray, table: OverlapTable, home: IntArray) -> None:
    """Add the terms of `napari_cellseg.core.metrics.aggregated_jaccard`."""
    best = table.best
    found = table.true_index[best]
    counts[: len(table.true_ids), AJI_UNION] = table.true_area
    counts[found, AJI_OVERLAP] = table.overlap[best]
    counts[found, AJI_UNION] = table.union[best]
    unused = np.ones(len(home), bool)
    unused[table.pred_index[best]] = False
    np.add.at(counts[:, AJI_UNION], home[unused], table.pred_area[unused])


def scores_of(sums: FloatArray) -> FloatArray:
    """Return the scores that follow from sums.

    Parameters
    ----------
    sums
        (..., COLUMNS), added over whatever belongs together.

    Returns
    -------
    array (..., len(METRICS))
        In the order of `METRICS`. A ratio of nothing to nothing is 1, but for ``sq``, which is 0
        where there are objects and none has a partner.
    """
    n = sums[..., N_TRUE] + sums[..., N_PRED]
    tp = sums[..., TP:]
    pixel = sums[..., PIXEL_TP]
    wrong = sums[..., PIXEL_FP] + sums[..., PIXEL_FN]
    ap = _ratio(tp, n[..., None] - tp)
    quality = _ratio(sums[..., PQ_IOU], sums[..., PQ_TP])
    ones = (
        ap.mean(-1),
        _ratio(2 * sums[..., PQ_IOU], n),
        np.where((sums[..., PQ_TP] == 0) & (n > 0), 0.0, quality),
        _ratio(sums[..., AJI_OVERLAP], sums[..., AJI_UNION]),
        _ratio(2 * pixel, 2 * pixel + wrong),
        _ratio(pixel, pixel + wrong),
    )
    return np.concatenate([np.stack(ones, -1), ap, _ratio(2 * tp, n[..., None])], -1)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.ones_like(part), where=whole != 0)
