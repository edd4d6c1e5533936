"""Sums of places give the scores of `core.metrics`, and intervals lie around them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.agreement.intervals import (
    Interval,
    over_images,
    over_images_pooled,
    over_objects,
)
from napari_cellseg.core.agreement.tally import COLUMNS, METRICS, N_PRED, N_TRUE, scores_of, tally
from napari_cellseg.core.metrics import score, summarize
from napari_cellseg.core.overlap import overlap_table

SMALL = arrays(np.int32, (6, 7), elements=st.integers(0, 5))


def counts_of(reference, labels):
    return tally(overlap_table(reference, labels))


@given(SMALL, SMALL)
@settings(max_examples=60)
def test_scores_are_those_of_the_metrics(reference, labels):
    counts = counts_of(reference, labels)
    assert counts.shape[1] == COLUMNS
    ours = dict(zip(METRICS, scores_of(counts.sum(0)), strict=True))
    theirs = score(reference, labels).as_row()
    assert ours == pytest.approx({name: theirs[name] for name in METRICS})


def test_segmented_objects_count_at_the_reference_object_they_overlap_most():
    reference = np.array([[1, 1, 1, 2, 2, 0, 0]])
    labels = np.array([[0, 0, 5, 5, 5, 0, 7]])
    counts = counts_of(reference, labels)
    assert counts[:, N_TRUE].tolist() == [1, 1, 0]
    assert counts[:, N_PRED].tolist() == [0, 1, 1]


def squares(n, wrong):
    """Return n squares, and labels in which the last `wrong` of them are missing."""
    reference = np.kron(np.diag(np.arange(1, n + 1)), np.ones((2, 2), int))
    return reference, np.where(reference > n - wrong, 0, reference)


def test_intervals_hold_the_value_and_narrow_with_more_objects():
    widths = []
    for n in (10, 90):
        found = over_objects(counts_of(*squares(n, n // 5)))["ap50"]
        assert found.value == pytest.approx(0.8)
        assert found.low < 0.8 < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2
    # a share of 0.8 of 90: the standard error is 0.042
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 90), rel=0.15)


def test_the_seed_decides():
    counts = np.random.default_rng(0).random((30, COLUMNS))
    assert over_objects(counts, seed=1) == over_objects(counts, seed=1)
    assert over_objects(counts, seed=1)["ap50"] != over_objects(counts, seed=2)["ap50"]


@pytest.mark.parametrize("n", [0, 1])
def test_no_interval_without_a_choice(n):
    found = over_objects(counts_of(*squares(n, 0)) if n else np.zeros((0, COLUMNS)))
    assert found["ap50"] == Interval(1.0)
    assert str(found["ap50"]) == "1.000"


def test_all_right_has_no_width():
    assert str(over_objects(counts_of(*squares(5, 0)))["pq"]) == "1.000 [1.000, 1.000]"


def test_images_have_means_and_pooled_scores():
    pairs = [squares(2, 1), squares(10, 1), squares(6, 0)]
    sums = np.stack([counts_of(*pair).sum(0) for pair in pairs])
    summary = summarize([score(*pair) for pair in pairs])
    mean, pooled = over_images(sums), over_images_pooled(sums)
    for name in ("ap50", "map", "pq", "aji", "dice", "f1_75"):
        assert mean[name].value == pytest.approx(summary[name])
        assert mean[name].low <= mean[name].value <= mean[name].high
    for name in ("ap50", "ap95", "f1_50", "iou", "dice"):
        assert pooled[name].value == pytest.approx(summary[f"pooled_{name}"])
    assert (mean["ap50"].low, mean["ap50"].high) == (0.5, 1.0)  # three times the worst, the best
