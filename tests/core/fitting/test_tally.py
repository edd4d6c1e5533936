"""The scores of a fit: equal to the metrics where all is known, silent about the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.fitting.tally import score_of, standard_error, tally
from napari_cellseg.core.metrics import score

small = hnp.arrays(np.int32, (7, 9), elements=st.integers(0, 4))


def consecutive(labels: np.ndarray) -> np.ndarray:
    return np.unique(np.append(0, labels), return_inverse=True)[1][1:].reshape(labels.shape)


@settings(max_examples=60)
@given(small, small)
def test_all_known_is_what_the_metrics_say(truth, labels):
    truth = consecutive(truth).astype(np.int32)
    counts = tally(truth, labels, np.ones(truth.shape, bool), np.zeros(truth.shape, np.int32))
    expected = score(truth, labels)
    assert len(counts) == max(1, truth.max())
    assert score_of(counts).pq == pytest.approx(expected.pq)
    assert score_of(counts).ap == pytest.approx(expected.ap[0])
    assert score_of(counts).mean == pytest.approx((expected.pq + expected.ap[0]) / 2)


@pytest.mark.parametrize(("columns", "errors"), [(0, 0), (1, 0), (2, 1), (4, 1)])
def test_an_extra_object_is_an_error_if_half_of_it_is_known_to_be_one(columns, errors):
    truth = np.zeros((6, 12), np.int32)
    truth[1:3, 1:3] = 1
    labels = truth.copy()
    labels[4:6, 6:10] = 2
    known = truth > 0
    known[:, 6 : 6 + columns] = True
    counts = tally(truth, labels, known, np.zeros(truth.shape, np.int32))
    np.testing.assert_array_equal(counts, [[1, 1 + errors / 2, 1, 1 + errors]])


def test_a_match_counts_wherever_it_lies_and_errors_go_to_the_nearest_object():
    truth = np.zeros((6, 12), np.int32)
    truth[1:3, 1:3], truth[1:3, 8:10] = 1, 2
    nearest = np.where(np.arange(12) < 6, 0, 1) * np.ones((6, 1), np.int32)
    labels = np.where(truth == 1, 7, 0).astype(np.int32)
    labels[5, 10:] = 3
    known = nearest == 1
    counts = tally(truth, labels, known, nearest.astype(np.int32))
    np.testing.assert_array_equal(counts, [[1, 1, 1, 1], [0, 1, 0, 2]])


def test_standard_error_is_that_of_a_paired_bootstrap():
    rng = np.random.default_rng(3)
    n = 80

    def some(quality):
        tp = rng.random(n) < quality
        extra = rng.random(n) < 0.2
        iou = tp * rng.uniform(0.5, 1, n)
        return np.stack([iou, 0.5 + tp / 2 + extra / 2, tp, 1 + extra], axis=1)

    before = some(0.7)
    after = np.where(rng.random((n, 1)) < 0.6, before, some(0.9))
    gains = []
    for _ in range(3000):
        drawn = rng.integers(0, n, n)
        gains.append(score_of(after[drawn]).mean - score_of(before[drawn]).mean)
    assert standard_error(before, after) == pytest.approx(np.std(gains), rel=0.1)
    assert standard_error(before, before) == 0


def test_one_object_proves_nothing():
    assert standard_error(np.ones((1, 4)), np.zeros((1, 4))) == math.inf
