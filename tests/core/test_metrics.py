"""Metrics: hand-computed values, defined degenerate cases, algebra, and two independent oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.metrics import (
    THRESHOLDS,
    Scores,
    aggregated_jaccard,
    average_precision,
    match,
    overlap_table,
    panoptic_quality,
    score,
    summarize,
)

small_labels = arrays(np.int32, (6, 8), elements=st.integers(0, 5))


def blobs(seed: int, shift: int = 0, size: int = 160) -> np.ndarray:
    """Touching labels: the cells of random points inside a random mask, displaced by `shift`."""
    from scipy import ndimage as ndi

    rng = np.random.default_rng(seed)
    seeds = np.zeros((size, size), bool)
    seeds[tuple(rng.integers(0, size, (2, 60)))] = True
    marks = ndi.label(seeds)[0]
    nearest = ndi.distance_transform_edt(~seeds, return_distances=False, return_indices=True)
    mask = ndi.gaussian_filter(rng.normal(size=(size, size)), 8) > -0.01
    return np.roll(marks[tuple(nearest)] * mask, shift, axis=1)


def values(scores: Scores) -> dict[str, float]:
    row = scores.as_row()
    return {name: row[name] for name in row if not name.startswith(("n_", "tp", "pixel"))}


def test_hand_computed_picture():
    true = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, 3]])
    pred = np.array([[9, 9, 9, 0, 4, 4, 4, 0, 0, 0]])
    got = score(true, pred)  # IoU 3/4 and 2/3; one missed
    assert (got.n_true, got.n_pred) == (3, 2)
    assert got.tp == (2, 2, 2, 2, 1, 1, 0, 0, 0, 0)
    assert got.ap[0] == pytest.approx(2 / 3)
    assert got.ap[4] == pytest.approx(1 / 4)
    assert got.f1[0] == pytest.approx(4 / 5)
    assert got.map == pytest.approx((4 * 2 / 3 + 2 / 4) / 10)
    assert got.sq == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert got.pq == pytest.approx(4 / 5 * (3 / 4 + 2 / 3) / 2)
    assert got.aji == pytest.approx(5 / (4 + 3 + 2))
    assert (got.pixel_tp, got.pixel_fp, got.pixel_fn) == (5, 1, 3)
    assert got.iou == pytest.approx(5 / 9)
    assert got.dice == pytest.approx(10 / 14)
    assert got.miou == pytest.approx((5 / 9 + 1 / 5) / 2)


def test_panoptic_quality_wants_more_than_one_half():
    assert panoptic_quality(overlap_table([1, 1], [1, 0])) == (0.0, 0.0)
    assert average_precision([1, 1], [1, 0]) == 1.0


def test_aggregated_jaccard_lets_one_prediction_serve_two_and_punishes_the_rest():
    true = np.repeat([1, 2, 0], [4, 3, 4])
    pred = np.repeat([7, 7, 8], [4, 3, 4])
    # 7 serves both: intersections 4 + 3, unions 7 + 7; 8 stays alone and adds 4.
    assert aggregated_jaccard(overlap_table(true, pred)) == pytest.approx(7 / 18)
    # The other way round 7 takes 1, the better of the two; 2 stays alone, and so does 8.
    assert aggregated_jaccard(overlap_table(pred, true)) == pytest.approx(4 / (7 + 4 + 3))


def test_aggregated_jaccard_takes_the_best_iou_not_the_largest_overlap():
    true = np.repeat([1, 1, 0], [6, 4, 24])
    pred = np.repeat([7, 8, 7], [6, 4, 24])
    assert aggregated_jaccard(overlap_table(true, pred)) == pytest.approx(4 / (10 + 30))


def test_nothing_and_nothing_agree():
    empty = np.zeros((4, 5), np.uint8)
    assert set(values(score(empty, empty)).values()) == {1.0}
    assert set(values(score(empty[:0], empty[:0])).values()) == {1.0}


@pytest.mark.parametrize("swap", [False, True])
def test_something_against_nothing_is_zero_but_for_background(swap):
    one, empty = np.zeros((4, 5), int), np.zeros((4, 5), int)
    one[0] = 3
    got = values(score(*((empty, one) if swap else (one, empty))))
    assert got.pop("miou") == pytest.approx(0.75 / 2)
    assert set(got.values()) == {0.0}


def test_a_picture_full_of_cell_has_a_background_that_agrees():
    full = np.ones((3, 3), int)
    assert score(full, full).miou == 1.0


@given(small_labels)
def test_perfect_is_one(labels):
    assert all(value == pytest.approx(1) for value in values(score(labels, labels * 3)).values())


@given(small_labels, small_labels, st.permutations(range(1, 6)), st.permutations(range(1, 6)))
def test_renaming_objects_changes_nothing(true, pred, names_true, names_pred):
    renamed = score(np.array([0, *names_true])[true], 11 * np.array([0, *names_pred])[pred])
    assert renamed == score(true, pred)


@given(small_labels, small_labels)
def test_metrics_are_symmetric_and_between_zero_and_one(true, pred):
    there, back = score(true, pred), score(pred, true)
    for name, value in values(there).items():
        assert 0 <= value <= 1
        if name != "aji":  # by definition not symmetric
            assert value == pytest.approx(values(back)[name])
    assert (there.pixel_fp, there.pixel_fn) == (back.pixel_fn, back.pixel_fp)


@given(small_labels, small_labels)
def test_dice_and_f1_follow_from_iou_and_ap(true, pred):
    got = score(true, pred)
    assert got.dice == pytest.approx(2 * got.iou / (1 + got.iou))
    for ap, f1 in zip(got.ap, got.f1, strict=True):
        assert f1 == pytest.approx(2 * ap / (1 + ap))
    assert list(got.ap) == sorted(got.ap, reverse=True)
    assert got.map == pytest.approx(math.fsum(got.ap) / 10)


@pytest.mark.parametrize("seed", range(4))
def test_matches_stardist(seed):
    matching = pytest.importorskip("stardist.matching", exc_type=ImportError)
    true = blobs(seed)
    for shift in (1, 3, 6, 9):
        pred = np.where(blobs(seed + 50, size=160) % 7 == 0, blobs(seed, shift), true)
        table = overlap_table(true, pred)
        for threshold in (0.1, 0.3, 0.5, 0.6, 0.75, 0.9):
            threshold -= 1e-6  # the oracle's IoU is float32
            oracle = matching.matching(true, pred, thresh=threshold)
            ours = match(table, threshold)
            assert (ours.tp, ours.fp, ours.fn) == (oracle.tp, oracle.fp, oracle.fn)
            assert ours.average_precision == pytest.approx(oracle.accuracy)
            assert ours.f1 == pytest.approx(oracle.f1)
        oracle = matching.matching(true, pred, thresh=0.5 + 1e-6)
        pq, sq = panoptic_quality(table)
        assert pq == pytest.approx(oracle.panoptic_quality, rel=1e-5)
        assert sq == pytest.approx(oracle.mean_matched_score, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_matches_scikit_image_and_a_plain_transcription_of_the_papers(seed):
    metrics = pytest.importorskip("skimage.metrics")
    true, pred = blobs(seed), blobs(seed, shift=4)
    dense = metrics.contingency_table(true, pred).toarray()
    union = dense.sum(1, keepdims=True) + dense.sum(0, keepdims=True) - dense
    iou = (dense / np.maximum(union, 1))[1:, 1:]
    got = score(true, pred)
    objects = got.n_true + got.n_pred
    for threshold, ap in zip(THRESHOLDS[1:], got.ap[1:], strict=True):
        hits = (iou >= threshold).sum()
        assert ap == pytest.approx(hits / (objects - hits))
    shared = used = 0
    taken = set()
    for i in range(1, dense.shape[0]):
        if not dense[i].sum():
            continue
        j = int(np.argmax(iou[i - 1])) + 1
        if not dense[i, j]:
            used += dense[i].sum()
            continue
        shared += dense[i, j]
        used += union[i, j]
        taken.add(j)
    used += sum(dense[:, j].sum() for j in range(1, dense.shape[1]) if j not in taken)
    assert got.aji == pytest.approx(shared / used)
    both = ((true > 0) & (pred > 0)).sum()
    assert got.iou == pytest.approx(both / ((true > 0) | (pred > 0)).sum())
    neither = ((true == 0) & (pred == 0)).sum()
    assert got.miou == pytest.approx((got.iou + neither / ((true == 0) | (pred == 0)).sum()) / 2)


def test_rows_have_one_number_a_name():
    row = score([[1, 1, 0]], [[1, 1, 0]]).as_row()
    assert {"ap50", "ap95", "f1_50", "f1_75", "tp50", "map", "pq", "aji", "n_true"} <= set(row)
    assert all(isinstance(value, int | float) for value in row.values())


def test_summary_means_per_image_and_pools_counts():
    good = score([[1, 1, 0, 2]], [[1, 1, 0, 2]])
    bad = score([[1, 1, 0, 2]], [[0, 0, 5, 0]])
    got = summarize([good, bad])
    assert got["images"] == 2
    assert got["ap50"] == 0.5
    assert (got["n_true"], got["n_pred"], got["tp50"]) == (4, 3, 2)
    assert got["pooled_ap50"] == pytest.approx(2 / 5)
    assert got["pooled_f1_50"] == pytest.approx(4 / 7)
    assert got["pooled_iou"] == pytest.approx(3 / (3 + 1 + 3))
    assert got["pooled_dice"] == pytest.approx(6 / (6 + 4))
    assert got["pixel_fn"] == 3
    assert summarize([]) == {"images": 0}
