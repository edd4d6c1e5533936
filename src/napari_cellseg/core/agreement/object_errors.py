"""Which objects of a segmentation are wrong, and in what way, from the table of their overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.overlap import FloatArray, IntArray, OverlapTable, match

BoolArray = npt.NDArray[np.bool_]
Ids = tuple[int, ...]

LEAST_IOU = 0.1
"""Objects with less in common are no counterparts: one is missed and the other is extra."""


class ErrorKind(IntEnum):
    """What is wrong; the numbers are the codes of an error map, 0 stands for no error."""

    MISSED = 1
    EXTRA = 2
    MERGED = 3
    SPLIT = 4
    POOR_OUTLINE = 5

    @property
    def title(self) -> str:
        """Name for the user."""
        return self.name.lower().replace("_", " ")

    @property
    def meaning(self) -> str:
        """Definition for the user."""
        return _MEANINGS[self]


_MEANINGS = {
    ErrorKind.MISSED: "A reference object that no object of the segmentation stands for.",
    ErrorKind.EXTRA: "An object of the segmentation that stands for no reference object.",
    ErrorKind.MERGED: "An object of the segmentation in which more than half of each of two or "
    "more reference objects lies.",
    ErrorKind.SPLIT: "A reference object in which more than half of each of two or more objects "
    "of the segmentation lies.",
    ErrorKind.POOR_OUTLINE: "An object of the segmentation and the reference object that it "
    "stands for, neither merged nor split, that share too little.",
}


class ErrorSettings(Params):
    """From which overlap on two objects are taken for the same cell, and for well outlined."""

    iou: float = Field(
        0.5,
        ge=LEAST_IOU,
        le=1,
        title="Same object from IoU",
        description="Two objects with this intersection over union are taken for the same cell.",
    )
    outline: float = Field(
        0.7,
        ge=LEAST_IOU,
        le=1,
        title="Good outline from IoU",
        description="Below this intersection over union the outline of a found object is poor.",
    )


@dataclass(frozen=True, eq=False)
class FoundErrors:
    """The errors of one plane, by position in its overlap table.

    Attributes
    ----------
    true_code, pred_code
        What is wrong with each reference and each segmented object, uint8 (n_true,), (n_pred,): a
        code of `ErrorKind` or 0. Missed and split ones stand on the side of the reference, extra
        and merged ones on that of the segmentation, poor outlines on both.
    true_pair, pred_pair
        The same number above 0 at both objects of a poor outline, else 0.
    rows
        One tuple an error: kind, positions of its reference objects, of its segmented objects,
        pixels that are wrong, highest IoU that its object reaches.
    """

    true_code: npt.NDArray[np.uint8]
    pred_code: npt.NDArray[np.uint8]
    true_pair: IntArray
    pred_pair: IntArray
    rows: list[tuple[ErrorKind, Ids, Ids, int, float]]


def find_errors(table: OverlapTable, settings: ErrorSettings | None = None) -> FoundErrors:
    """Say what is wrong with the objects of a plane.

    The rules, in this order, as `ErrorKind.meaning` words them:

    1. *Merged* and *split* need no partner: what counts is in which object of the other side more
       than half of an object lies, of which there is one at most. A speck that lies in an object
       with a partner of its own is told so too; its wrong pixels are few.
    2. Of the others, objects are partners that are matched one to one at IoU >= ``settings.iou``,
       as for AP and F1; of what is left, those of highest IoU first, down to `LEAST_IOU`. The
       outline is *poor* where partners are not matched, or have an IoU below ``settings.outline``.
    3. What is left is *missed* or *extra*.

    So every object without a match has its place in exactly one kind of error on its side (as
    subject or as part), unless it is both a subject and a part of a merge or split.

    Pixels that are wrong: all of a missed or extra object, all but the largest part of a merged or
    split one, those in only one of the two objects of a poor outline.

    Parameters
    ----------
    table
        Overlaps of reference ("true") and segmentation ("predicted").
    settings
        Thresholds.
    """
    settings = settings or ErrorSettings()
    i, j = table.true_index, table.pred_index
    true_code = np.zeros(len(table.true_ids), np.uint8)
    pred_code = np.zeros(len(table.pred_ids), np.uint8)
    swallowed = 2 * table.overlap > table.true_area[i]
    fragment = 2 * table.overlap > table.pred_area[j]
    pred_code[np.bincount(j[swallowed], minlength=len(pred_code)) > 1] = ErrorKind.MERGED
    true_code[np.bincount(i[fragment], minlength=len(true_code)) > 1] = ErrorKind.SPLIT
    swallowed &= pred_code[j] > 0
    fragment &= true_code[i] > 0
    free_true, free_pred = true_code == 0, pred_code == 0
    free_true[i[swallowed]] = False
    free_pred[j[fragment]] = False
    poor = _partners(table, settings, free_true, free_pred)
    true_code[i[poor]] = pred_code[j[poor]] = ErrorKind.POOR_OUTLINE
    true_code[free_true & (true_code == 0)] = ErrorKind.MISSED
    pred_code[free_pred & (pred_code == 0)] = ErrorKind.EXTRA
    true_pair, pred_pair = np.zeros(len(true_code), np.int64), np.zeros(len(pred_code), np.int64)
    true_pair[i[poor]] = pred_pair[j[poor]] = np.arange(len(poor)) + 1
    rows = [
        *_alone(ErrorKind.MISSED, true_code, table.true_area, _best(table, i, len(true_code))),
        *_alone(ErrorKind.EXTRA, pred_code, table.pred_area, _best(table, j, len(pred_code))),
        *_with_parts(ErrorKind.MERGED, table, np.flatnonzero(swallowed)),
        *_with_parts(ErrorKind.SPLIT, table, np.flatnonzero(fragment)),
        *_outlines(table, poor),
    ]
    return FoundErrors(true_code, pred_code, true_pair, pred_pair, rows)


def _partners(
    table: OverlapTable, settings: ErrorSettings, free_true: BoolArray, free_pred: BoolArray
) -> IntArray:
    """Return the pairs with a poor outline; well matched objects are free no longer."""
    i, j = table.true_index, table.pred_index
    matched = match(table, settings.iou)
    left_true, left_pred = free_true.copy(), free_pred.copy()
    left_true[matched.true_index] = left_pred[matched.pred_index] = False
    partner = np.full(len(free_true), -1)
    partner[matched.true_index] = matched.pred_index
    poor = (partner[i] == j) & free_true[i] & free_pred[j] & (table.iou < settings.outline)
    free_true[matched.true_index] = free_pred[matched.pred_index] = False
    candidates = np.flatnonzero(left_true[i] & left_pred[j] & (table.iou >= LEAST_IOU))
    more = _best_first(i[candidates], j[candidates], table.iou[candidates])
    return np.concatenate([np.flatnonzero(poor), candidates[more]])


def _best_first(i: IntArray, j: IntArray, iou: FloatArray) -> IntArray:
    """Pair objects one to one, those of highest IoU first."""
    order = np.lexsort((j, i, -iou))
    taken = []
    while len(order):
        first_i, first_j = (np.unique(side[order], return_index=True)[1] for side in (i, j))
        now = order[np.intersect1d(first_i, first_j)]  # the best pair of both its objects
        taken.append(now)
        order = order[~np.isin(i[order], i[now]) & ~np.isin(j[order], j[now])]
    return np.concatenate(taken) if taken else np.zeros(0, np.int64)


def _best(table: OverlapTable, index: IntArray, count: int) -> FloatArray:
    """Return the highest IoU of every object, 0 without any overlap."""
    best = np.zeros(count)
    np.maximum.at(best, index, table.iou)
    return best


def _alone(
    kind: ErrorKind, code: npt.NDArray[np.uint8], area: IntArray, best: FloatArray
) -> list[tuple[ErrorKind, Ids, Ids, int, float]]:
    at = np.flatnonzero(code == kind)
    columns = zip(at.tolist(), area[at].tolist(), best[at].tolist(), strict=True)
    if kind == ErrorKind.MISSED:
        return [(kind, (k,), (), pixels, iou) for k, pixels, iou in columns]
    return [(kind, (), (k,), pixels, iou) for k, pixels, iou in columns]


def _with_parts(
    kind: ErrorKind, table: OverlapTable, pairs: IntArray
) -> list[tuple[ErrorKind, Ids, Ids, int, float]]:
    """List merged or split objects; `pairs` are those of each with its parts."""
    if not len(pairs):
        return []
    merged = kind == ErrorKind.MERGED
    whole, part = table.pred_index, table.true_index
    if not merged:
        whole, part = part, whole
    pairs = pairs[np.lexsort((part[pairs], whole[pairs]))]
    subjects, starts = np.unique(whole[pairs], return_index=True)
    overlap = table.overlap[pairs]
    wrong = np.add.reduceat(overlap, starts) - np.maximum.reduceat(overlap, starts)
    count = len(table.pred_ids if merged else table.true_ids)
    best = _best(table, whole, count)[subjects]
    rows: list[tuple[ErrorKind, Ids, Ids, int, float]] = []
    parts = np.split(part[pairs], starts[1:])
    for subject, some, pixels, iou in zip(subjects.tolist(), parts, wrong, best, strict=True):
        one, many = (subject,), tuple(some.tolist())
        sides: tuple[Any, Any] = (many, one) if merged else (one, many)
        rows.append((kind, *sides, int(pixels), float(iou)))
    return rows


def _outlines(table: OverlapTable, poor: IntArray) -> list[tuple[ErrorKind, Ids, Ids, int, float]]:
    columns = zip(
        table.true_index[poor].tolist(),
        table.pred_index[poor].tolist(),
        (table.union[poor] - table.overlap[poor]).tolist(),
        table.iou[poor].tolist(),
        strict=True,
    )
    kind = ErrorKind.POOR_OUTLINE
    return [(kind, (i,), (j,), pixels, iou) for i, j, pixels, iou in columns]
