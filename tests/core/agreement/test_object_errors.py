"""What is wrong with which object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.agreement.object_errors import (
    LEAST_IOU,
    ErrorKind,
    ErrorSettings,
    find_errors,
)
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.overlap import match, overlap_table

MISSED, EXTRA, MERGED, SPLIT, POOR = ErrorKind

SMALL = arrays(np.int32, (6, 7), elements=st.integers(0, 5))


def errors(reference, labels, **changes):
    """Return (kind, ids of the reference, ids of the labels, pixels, iou) of every error."""
    table = overlap_table(reference, labels)
    rows = find_errors(table, ErrorSettings(**changes)).rows
    return [
        (kind, *(tuple(ids[list(k)].tolist()) for ids, k in sides), pixels, iou)
        for kind, true, pred, pixels, iou in rows
        for sides in [((table.true_ids, true), (table.pred_ids, pred))]
    ]


def row(text):
    return np.array([[int(letter) for letter in text]])


@pytest.mark.parametrize(
    ("reference", "labels", "expected"),
    [
        ("0011100", "0099900", []),
        ("0011100", "0000000", [(MISSED, (1,), (), 3, 0)]),
        ("0000000", "0055000", [(EXTRA, (), (5,), 2, 0)]),
        ("1112200", "7777700", [(MERGED, (1, 2), (7,), 2, 3 / 5)]),
        ("1111133", "4445533", [(SPLIT, (1,), (4, 5), 2, 3 / 5)]),
        ("1111000", "0066660", [(POOR, (1,), (6,), 4, 2 / 6)]),
        ("1111100", "1111000", []),  # IoU 0.8 is good enough
        ("1111100", "1110000", [(POOR, (1,), (1,), 2, 3 / 5)]),  # matched, but badly
        # more than half counts: of two objects each half in one, neither is swallowed
        ("1122000", "0110000", [(POOR, (1,), (1,), 2, 1 / 3), (MISSED, (2,), (), 2, 1 / 3)]),
        # a speck in an object that has its partner belongs to a split
        ("1111111", "2222220", []),
        ("1111111", "2222223", [(SPLIT, (1,), (2, 3), 1, 6 / 7)]),
    ],
)
def test_single_errors(reference, labels, expected):
    found = errors(row(reference), row(labels))
    expected = [(*one[:4], pytest.approx(one[4])) for one in expected]
    assert sorted(found, key=lambda one: one[0]) == sorted(expected, key=lambda one: one[0])


def test_objects_that_barely_touch_are_missed_and_extra():
    reference, labels = np.zeros((2, 3, 20), np.int32)
    reference[:, :10], labels[:, 9:19] = 1, 1
    assert [one[0] for one in errors(reference, labels)] == [MISSED, EXTRA]
    labels[:, 8] = 1  # 6 px of 57
    assert [one[0] for one in errors(reference, labels)] == [POOR]


def test_thresholds():
    reference, labels = row("1111100"), row("1111000")  # IoU 0.8
    assert errors(reference, labels, outline=0.8) == []
    assert [one[0] for one in errors(reference, labels, outline=0.81)] == [POOR]
    # what does not match has a poor outline, whatever the other threshold says
    assert [one[0] for one in errors(reference, labels, iou=0.9, outline=0.5)] == [POOR]
    with pytest.raises(SettingsError, match="iou"):
        ErrorSettings.parse({"iou": 2})


def test_the_better_of_two_candidates_is_the_partner():
    reference, labels = row("1111111111000000"), row("0003332222220000")
    assert [one[0] for one in errors(reference, labels)] == [SPLIT]  # 4 of 6 px of 2 lie in 1
    labels = row("0003332222222220")  # now 4 of 9, and an IoU of 4 / 15 against 3 / 10
    kinds = {one[0]: one for one in errors(reference, labels)}
    assert kinds[POOR][1:3] == ((1,), (3,))
    assert kinds[EXTRA][1:3] == ((), (2,))


def merged_and_split(reference, labels):
    """Find them by the definitions, object by object."""
    true = {k: reference == k for k in np.unique(reference) if k}
    pred = {k: labels == k for k in np.unique(labels) if k}
    shared = {(i, j): (a & b).sum() for i, a in true.items() for j, b in pred.items()}
    merged = {j: [i for i in true if 2 * shared[i, j] > true[i].sum()] for j in pred}
    split = {i: [j for j in pred if 2 * shared[i, j] > pred[j].sum()] for i in true}
    merged = {j: parts for j, parts in merged.items() if len(parts) > 1}
    split = {i: parts for i, parts in split.items() if len(parts) > 1}
    return merged, split


@given(SMALL, SMALL)
@settings(max_examples=60)
def test_merged_and_split_are_what_their_definition_says(reference, labels):
    merged, split = merged_and_split(reference, labels)
    found = errors(reference, labels)
    assert {one[2][0]: sorted(one[1]) for one in found if one[0] == MERGED} == merged
    assert {one[1][0]: sorted(one[2]) for one in found if one[0] == SPLIT} == split


@given(SMALL, SMALL)
@settings(max_examples=60)
def test_every_object_without_a_match_is_accounted_for(reference, labels):
    table = overlap_table(reference, labels)
    matched = match(table, 0.5)
    found = find_errors(table)
    named_true, named_pred = set(), set()
    of_kind = {kind: [] for kind in ErrorKind}
    for kind, true, pred, pixels, iou in found.rows:
        named_true |= set(true)
        named_pred |= set(pred)
        of_kind[kind].append((true, pred))
        assert pixels > 0
        assert 0 <= iou <= 1
    assert set(range(len(table.true_ids))) - set(matched.true_index.tolist()) <= named_true
    assert set(range(len(table.pred_ids))) - set(matched.pred_index.tolist()) <= named_pred
    for side, alone in ((0, MISSED), (1, EXTRA)):
        single = [one[side][0] for kind in (alone, POOR) for one in of_kind[kind]]
        parts = [k for kind in (MERGED, SPLIT) for one in of_kind[kind] for k in one[side]]
        assert len(single) == len(set(single))
        assert not set(single) & set(parts)


@given(SMALL, SMALL)
@settings(max_examples=40)
def test_what_is_merged_one_way_is_split_the_other_way(reference, labels):
    there, back = errors(reference, labels), errors(labels, reference)
    merged = [(one[2], one[1], one[3]) for one in there if one[0] == MERGED]
    assert merged == [(one[1], one[2], one[3]) for one in back if one[0] == SPLIT]


@given(SMALL)
@settings(max_examples=30)
def test_nothing_is_wrong_with_the_reference_itself(reference):
    assert find_errors(overlap_table(reference, 10 * reference)).rows == []


def test_least_iou_is_below_every_threshold_that_can_be_set():
    assert ErrorSettings(iou=LEAST_IOU).iou == LEAST_IOU
    with pytest.raises(SettingsError):
        ErrorSettings.parse({"iou": LEAST_IOU / 2})
