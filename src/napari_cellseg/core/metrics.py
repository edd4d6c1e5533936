"""How well labels agree with the truth: AP, F1, mAP, PQ, AJI, IoU and Dice of a picture or many.

Labels are integers of any dtype, 0 = background. A picture in which neither side has an object
scores 1.0 in everything; one in which only one side has objects scores 0.0 in everything but
``miou``, whose background half still counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.overlap import Matching, OverlapTable, match, overlap_table, ratio

__all__ = [
    "THRESHOLDS",
    "Matching",
    "OverlapTable",
    "Scores",
    "aggregated_jaccard",
    "average_precision",
    "match",
    "overlap_table",
    "panoptic_quality",
    "score",
    "summarize",
]

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""IoU thresholds over which mAP is the mean."""

COUNTS = ("n_true", "n_pred", "pixel_tp", "pixel_fp", "pixel_fn")


@dataclass(frozen=True)
class Scores:
    """Every metric of one picture.

    Attributes
    ----------
    n_true, n_pred
        Objects in truth and prediction.
    iou, dice
        Of the pixels, cell against background.
    miou
        Mean of the pixel IoU of background and of cell.
    ap, f1
        At each of `THRESHOLDS`: TP / (TP + FP + FN) and 2 TP / (2 TP + FP + FN).
    map
        Mean of `ap`.
    pq, sq
        Panoptic quality and the mean IoU in it, see `panoptic_quality`.
    aji
        Aggregated Jaccard index, see `aggregated_jaccard`.
    tp
        Matched objects at each of `THRESHOLDS`.
    pixel_tp, pixel_fp, pixel_fn
        Pixels of cell right, too many, missed.
    """

    n_true: int
    n_pred: int
    iou: float
    dice: float
    miou: float
    ap: tuple[float, ...]
    f1: tuple[float, ...]
    map: float
    pq: float
    sq: float
    aji: float
    tp: tuple[int, ...]
    pixel_tp: int
    pixel_fp: int
    pixel_fn: int

    def as_row(self) -> dict[str, float]:
        """Return flat numbers, those per threshold spelled out: ``ap50``, ``f1_75``, ``tp50``."""
        row: dict[str, float] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                row |= {_at(item.name, t): one for t, one in zip(THRESHOLDS, value, strict=True)}
            else:
                row[item.name] = value
        return row


def _at(name: str, threshold: float) -> str:
    return f"{name}{'_' if name[-1].isdigit() else ''}{round(100 * threshold)}"


def score(true: npt.ArrayLike, pred: npt.ArrayLike) -> Scores:
    """Compute every metric of one picture.

    Parameters
    ----------
    true, pred
        Integer labels of one shape, 0 = background.

    Raises
    ------
    DataError
        If the shapes differ, or a label is negative or not an integer.
    """
    table = overlap_table(true, pred)
    matchings = [match(table, threshold) for threshold in THRESHOLDS]
    ap = tuple(one.average_precision for one in matchings)
    tp, fp, fn = table.pixel_counts
    background = table.pixels - tp - fp - fn
    iou = ratio(tp, tp + fp + fn)
    pq, sq = panoptic_quality(table)
    return Scores(
        n_true=len(table.true_ids),
        n_pred=len(table.pred_ids),
        iou=iou,
        dice=ratio(2 * tp, 2 * tp + fp + fn),
        miou=(iou + ratio(background, background + fp + fn)) / 2,
        ap=ap,
        f1=tuple(one.f1 for one in matchings),
        map=float(np.mean(ap)),
        pq=pq,
        sq=sq,
        aji=aggregated_jaccard(table),
        tp=tuple(one.tp for one in matchings),
        pixel_tp=tp,
        pixel_fp=fp,
        pixel_fn=fn,
    )


def average_precision(true: npt.ArrayLike, pred: npt.ArrayLike, threshold: float = 0.5) -> float:
    """AP = TP / (TP + FP + FN) of one picture of labels, matched at IoU >= `threshold`."""
    return match(overlap_table(true, pred), threshold).average_precision


def panoptic_quality(table: OverlapTable) -> tuple[float, float]:
    """Return PQ = F1 x mean IoU, and that mean IoU (SQ), of the matches with IoU > 0.5.

    Kirillov et al. 2019, Panoptic Segmentation, eq. 1. SQ is 0.0 where nothing matches and 1.0
    where there is nothing to match.
    """
    pairs = match(table, 0.5, strict=True)
    quality = float(pairs.iou.mean()) if pairs.tp else float(pairs.n_true == pairs.n_pred == 0)
    return pairs.f1 * quality, quality


def aggregated_jaccard(table: OverlapTable) -> float:
    """Return the aggregated Jaccard index: summed intersections over summed unions.

    Each true object takes the predicted one of highest IoU, which may serve several; objects that
    no one took count in full to the union (Kumar et al. 2017, A dataset and a technique for
    generalized nuclear segmentation, algorithm 1); see `OverlapTable.best`.
    """
    best = table.best
    missed = np.delete(table.true_area, table.true_index[best]).sum()
    extra = np.delete(table.pred_area, np.unique(table.pred_index[best])).sum()
    union = int(table.union[best].sum() + missed + extra)
    return ratio(int(table.overlap[best].sum()), union)


def summarize(scores: Sequence[Scores]) -> dict[str, float]:
    """Summarise many pictures: mean of every metric per picture, and metrics of pooled counts.

    Returns
    -------
    dict
        ``images``; the mean over images of every metric (``ap50``, ``map``, ``pq``, ...); sums
        of the counts (``n_true``, ``tp50``, ...); and from those sums ``pooled_ap50``,
        ``pooled_f1_50``, ..., ``pooled_iou``, ``pooled_dice``. Without pictures only ``images``.
    """
    rows = [one.as_row() for one in scores]
    result: dict[str, float] = {"images": len(rows)}
    if not rows:
        return result
    for name in rows[0]:
        values = [row[name] for row in rows]
        counted = name in COUNTS or name.startswith("tp")
        result[name] = sum(values) if counted else float(np.mean(values))
    for threshold in THRESHOLDS:
        tp = result[_at("tp", threshold)]
        objects = result["n_true"] + result["n_pred"]
        result[_at("pooled_ap", threshold)] = ratio(tp, objects - tp)
        result[_at("pooled_f1", threshold)] = ratio(2 * tp, objects)
    tp, wrong = result["pixel_tp"], result["pixel_fp"] + result["pixel_fn"]
    result["pooled_iou"] = ratio(tp, tp + wrong)
    result["pooled_dice"] = ratio(2 * tp, 2 * tp + wrong)
    return result
