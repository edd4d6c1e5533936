"""Overlap table and matching: counts, one-to-one choices, and the same through renamed objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.overlap import match, overlap_table

small_labels = arrays(np.int32, (6, 8), elements=st.integers(0, 5))


def dense_counts(true, pred):
    """Pixels of every pair of ids, counted one by one."""
    counts = {}
    for pair in zip(true.ravel().tolist(), pred.ravel().tolist(), strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    return counts


@given(small_labels, small_labels)
def test_table_counts_every_overlap_and_area(true, pred):
    table = overlap_table(true, pred)
    found = {
        (int(table.true_ids[i]), int(table.pred_ids[j])): int(n)
        for i, j, n in zip(table.true_index, table.pred_index, table.overlap, strict=True)
    }
    assert found == {pair: n for pair, n in dense_counts(true, pred).items() if all(pair)}
    assert dict(zip(table.true_ids, table.true_area, strict=True)) == {
        i: (true == i).sum() for i in np.unique(true[true > 0])
    }
    assert dict(zip(table.pred_ids, table.pred_area, strict=True)) == {
        i: (pred == i).sum() for i in np.unique(pred[pred > 0])
    }
    both, one = (true > 0) & (pred > 0), (true > 0) != (pred > 0)
    tp, fp, fn = table.pixel_counts
    assert (tp, fp + fn, table.pixels) == (both.sum(), one.sum(), true.size)
    assert fp == ((pred > 0) & (true == 0)).sum()


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", ">i2", "int32", "int64", "uint64"]
)
def test_any_integer_type(dtype):
    true = np.array([[0, 1, 1, 0]]).astype(dtype)
    table = overlap_table(true, np.array([[0, 7, 0, 0]], np.int64))
    assert table.iou.tolist() == [0.5]


def test_huge_scattered_ids():
    true = np.array([0, 2**63 + 5, 2**63 + 5, 3], np.uint64)
    pred = np.array([0, 2**31 - 1, 0, 2**31 - 2], np.int32)
    table = overlap_table(true, pred)
    assert table.true_ids.tolist() == [2**63 + 5, 3]
    assert table.iou.tolist() == [0.5, 1.0]


def test_stacks_and_empty_arrays():
    stack = np.arange(8).reshape(2, 2, 2)
    assert match(overlap_table(stack, stack)).tp == 7
    nothing = overlap_table(np.zeros((0, 4), int), np.zeros((0, 4), int))
    assert (nothing.pixels, len(nothing.overlap)) == (0, 0)


@pytest.mark.parametrize(
    ("true", "pred", "words"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "differ in shape"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "not integers"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "negative"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(true, pred, words):
    with pytest.raises(DataError, match=words):
        overlap_table(true, pred)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(SettingsError):
        match(overlap_table([1], [1]), threshold)


def test_threshold_is_reached_or_in_strict_mode_passed():
    table = overlap_table([1, 1, 1, 1, 1], [1, 1, 1, 0, 0])  # IoU exactly 0.6
    assert match(table, 0.6).tp == 1
    assert match(table, 0.6, strict=True).tp == 0


def test_one_half_has_one_partner_only():
    table = overlap_table([5, 5], [1, 2])  # both halves have IoU 0.5
    half = match(table, 0.5)
    assert (half.tp, half.fp, half.fn) == (1, 1, 0)
    assert match(table, 0.5, strict=True).tp == 0


def test_as_many_pairs_as_possible_before_the_best_pair():
    # The true object 1 fits the prediction 1 far better (IoU 2/3 against 1/5 and 1/5), but then
    # the true object 2 and the prediction 2 stay alone.
    true = np.repeat([1, 1, 2], [8, 2, 2])
    pred = np.repeat([1, 2, 1], [8, 2, 2])
    table = overlap_table(true, pred)
    pairs = match(table, 0.15)
    partners = set(zip(pairs.true_index.tolist(), pairs.pred_index.tolist(), strict=True))
    assert partners == {(0, 1), (1, 0)}
    assert pairs.average_precision == 1.0


def test_equal_numbers_of_pairs_take_the_larger_iou():
    true = np.repeat([1, 1, 0], [6, 3, 1])
    pred = np.repeat([1, 2, 0], [6, 3, 1])
    pairs = match(overlap_table(true, pred), 0.1)
    assert pairs.tp == 1
    assert pairs.iou[0] == pytest.approx(6 / 9)


@given(small_labels, small_labels, st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.7]))
def test_matching_is_one_to_one_and_as_large_as_scipy_finds(true, pred, threshold):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    table = overlap_table(true, pred)
    pairs = match(table, threshold)
    assert (pairs.iou >= threshold).all()
    assert len(set(pairs.true_index)) == len(set(pairs.pred_index)) == pairs.tp
    keep = table.iou >= threshold
    ones = np.ones(int(keep.sum()), np.int8)
    graph = coo_array(
        (ones, (table.true_index[keep], table.pred_index[keep])),
        shape=(pairs.n_true, pairs.n_pred),
    ).tocsr()
    best = maximum_bipartite_matching(graph) if ones.size else np.array([-1])
    assert pairs.tp == (best >= 0).sum()
    assert pairs.tp + pairs.fp == pairs.n_pred == len(np.unique(pred[pred > 0]))
    assert pairs.tp + pairs.fn == pairs.n_true == len(np.unique(true[true > 0]))


@given(small_labels, small_labels, st.permutations(range(1, 6)), st.permutations(range(1, 6)))
def test_renaming_objects_changes_nothing(true, pred, names_true, names_pred):
    renamed = overlap_table(
        np.array([0, *names_true])[true] * 1000, np.array([0, *names_pred])[pred] * 7
    )
    table = overlap_table(true, pred)
    for name in ("true_area", "pred_area", "true_index", "pred_index", "overlap"):
        np.testing.assert_array_equal(getattr(table, name), getattr(renamed, name))
