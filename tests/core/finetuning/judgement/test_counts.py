"""What objects add to the scores: the metrics where all is known, silence about the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.finetuning.judgement.counts import METRICS, blocks, counts, scores_of
from napari_cellseg.core.metrics import score

small = hnp.arrays(np.int32, (7, 9), elements=st.integers(0, 4))


def consecutive(labels: np.ndarray) -> np.ndarray:
    numbered = np.unique(np.append(0, labels), return_inverse=True)[1][1:]
    return numbered.reshape(labels.shape).astype(np.int32)


@settings(max_examples=60)
@given(small, small)
def test_all_known_is_what_the_metrics_say(truth, labels):
    truth = consecutive(truth)
    rows = counts(truth, labels, np.ones(truth.shape, bool))
    assert len(rows) == max(1, truth.max())
    expected = score(truth, labels).as_row()
    values = scores_of(rows.sum(axis=0))
    assert dict(zip(METRICS, values[:-1], strict=True)) == pytest.approx(
        {name: expected[name] for name in METRICS}
    )
    assert values[-1] == pytest.approx((expected["ap50"] + expected["pq"]) / 2)


@settings(max_examples=60)
@given(small, small, hnp.arrays(bool, (7, 9)))
def test_what_lies_where_nothing_is_known_changes_nothing(truth, labels, known):
    truth = consecutive(truth)
    known |= truth > 0
    # objects that lie wholly where nothing is known
    strangers = [i for i in range(1, 5) if not known[labels == i].any()]
    clean = np.where(np.isin(labels, strangers), 0, labels).astype(np.int32)
    np.testing.assert_array_equal(counts(truth, labels, known), counts(truth, clean, known))


def picture() -> tuple[np.ndarray, np.ndarray]:
    truth = np.zeros((20, 40), np.int32)
    truth[2:8, 2:8], truth[2:8, 30:36] = 1, 2
    return truth, truth.copy()


@pytest.mark.parametrize(("columns", "wrong"), [(2, False), (4, True)])
def test_an_extra_object_counts_if_half_of_it_is_known_to_be_one(columns, wrong):
    truth, labels = picture()
    labels[12:16, 26:34] = 9
    known = np.zeros(truth.shape, bool)
    known[:, : 26 + columns] = True
    known |= truth > 0
    first, second = counts(truth, labels, known)
    expected = np.ones(first[:10].shape)
    np.testing.assert_array_equal(first[:10], expected)  # it is put down to the nearest object
    np.testing.assert_array_equal(second[:10, 0], expected[:, 0])
    np.testing.assert_array_equal(second[:10, 1], expected[:, 1] + wrong)
    np.testing.assert_array_equal(second[10], [1, 1 + wrong / 2])
    np.testing.assert_array_equal(second[11], [36, 36 + 32 * wrong])
    np.testing.assert_array_equal(second[12], [72, 72 + 4 * columns * wrong])


def test_an_object_that_reaches_into_the_unknown_is_a_partner():
    truth, labels = picture()
    labels[2:8, 30:40] = 2  # IoU 0.6
    known = truth > 0
    rows = counts(truth, labels, known)
    np.testing.assert_array_equal(rows[1, :3], np.ones((3, 2)))
    np.testing.assert_array_equal(rows[1, 3:10], [[0, 2]] * 7)  # most of it is known
    np.testing.assert_allclose(rows[1, 10:], [[0.6, 1], [36, 60], [72, 72]])


def test_missed_objects_take_their_own_share():
    truth, labels = picture()
    labels[labels == 2] = 0
    first, second = counts(truth, labels, np.ones(truth.shape, bool))
    np.testing.assert_array_equal(first, [*[[1, 1]] * 11, [36, 36], [72, 72]])
    np.testing.assert_array_equal(second, [*[[0, 1]] * 10, [0, 0.5], [0, 36], [0, 36]])


def test_many_counts_are_scored_at_once():
    rng = np.random.default_rng(0)
    sums = rng.uniform(0, 5, (3, 4, 13, 2))
    values = scores_of(sums)
    assert values.shape == (3, 4, 6)
    np.testing.assert_array_equal(values[1, 2], scores_of(sums[1, 2]))
    np.testing.assert_allclose(values[0, 0, 1], (sums[0, 0, :10, 0] / sums[0, 0, :10, 1]).mean())
    np.testing.assert_array_equal(scores_of(np.zeros((13, 2))), np.ones(6))


def test_neighbours_share_a_block_and_distant_objects_do_not():
    truth = np.zeros((200, 200), np.int32)
    places = [(2, 2), (2, 10), (100, 100), (190, 10), (190, 190)]
    for number, (y, x) in enumerate(places, 1):
        truth[y : y + 5, x : x + 5] = number
    found = blocks(truth)
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 4
    assert blocks(np.zeros((5, 5), np.int32)).shape == (1,)


def test_an_image_has_no_more_than_256_blocks():
    truth = np.zeros((400, 400), np.int32)
    truth[::4, ::4] = np.arange(1, 10_001).reshape(100, 100)
    assert len(np.unique(blocks(truth))) == 256
