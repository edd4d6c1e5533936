"""Locked objects stay as they are; predicted ones make room."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.session.locks import Locks, keep_inside

labels_arrays = hnp.arrays(np.int32, (7, 9), elements=st.integers(0, 5))


def test_no_locks_changes_nothing():
    predicted = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert Locks.none().flow_around(predicted) is predicted
    assert Locks.none().ids == ()


def test_an_edit_locks_the_whole_object_and_nothing_else():
    before = np.zeros((6, 8), np.int32)
    before[1:4, 1:4] = 1
    before[1:4, 5:7] = 2
    after = before.copy()
    after[4, 1] = 1
    locks = Locks.none().after_edit(before, after)
    assert locks.ids == (1,)
    assert locks.positions.size == 10


def test_erased_pixels_are_locked_as_background():
    before = np.zeros((6, 8), np.int32)
    before[1:4, 1:4] = 1
    after = np.zeros_like(before)
    locks = Locks.none().after_edit(before, after)
    assert locks.ids == ()
    assert (locks.flow_around(before) == 0).all()


def test_an_undone_edit_locks_nothing():
    before = np.ones((3, 3), np.int32)
    locks = Locks.none().after_edit(before, before.copy())
    assert locks.positions.size == 0


def test_half_covered_objects_are_kept_and_more_than_half_are_dropped():
    locked = np.zeros((4, 8), np.int32)
    locked[:, :4] = 9
    locks = Locks.none().after_edit(np.zeros_like(locked), locked)
    predicted = np.zeros_like(locked)
    predicted[0, 2:6] = 1  # half of it on locked pixels
    predicted[2, 1:6] = 2  # three of five
    out = locks.flow_around(predicted)
    assert (out == 1).sum() == 2
    assert not (out == 2).any()
    assert (out[:, :4] == 9).all()


def test_a_predicted_object_with_the_number_of_a_locked_one_gets_a_new_one():
    locked = np.zeros((4, 8), np.int32)
    locked[0, :3] = 1
    locks = Locks.none().after_edit(np.zeros_like(locked), locked)
    predicted = np.zeros_like(locked)
    predicted[3, 4:8] = 1
    predicted[1, 4:8] = 2
    out = locks.flow_around(predicted)
    assert (out == 1).sum() == 3
    assert out[1, 4] == 2
    assert out[3, 4] not in (0, 1, 2)


def test_a_second_edit_keeps_the_first_one_locked():
    start = np.zeros((6, 8), np.int32)
    once = start.copy()
    once[0, 0:3] = 4
    locks = Locks.none().after_edit(start, once)
    twice = once.copy()
    twice[5, 5:8] = 5
    assert locks.after_edit(once, twice).ids == (4, 5)


def test_restored_object_is_locked_where_nothing_was():
    locks = Locks(np.array([2], np.int64), np.array([3], np.int32))
    more = locks.with_object(np.array([1, 2, 5], np.int64), 8)
    assert more.positions.tolist() == [1, 2, 5]
    assert more.values.tolist() == [8, 3, 8]


@settings(deadline=None, max_examples=60)
@given(labels_arrays, labels_arrays, labels_arrays)
def test_locked_pixels_are_identical_and_predicted_objects_only_shrink(before, after, predicted):
    locks = Locks.none().after_edit(before, after)
    out = locks.flow_around(predicted)
    assert out.dtype == np.int32
    np.testing.assert_array_equal(out.reshape(-1)[locks.positions], locks.values)
    for label in locks.ids:
        np.testing.assert_array_equal(out == label, after == label)
    free = np.ones(out.size, bool)
    free[locks.positions] = False
    shown = out.reshape(-1)[free]
    source = predicted.reshape(-1)[free]
    assert (source[shown > 0] > 0).all()
    for label in np.unique(shown[shown > 0]):
        assert np.unique(source[shown == label]).size == 1


@settings(deadline=None, max_examples=40)
@given(labels_arrays, labels_arrays, st.integers(0, 3), st.integers(0, 4))
def test_crop_is_the_crop_of_the_whole(before, after, y, x):
    locks = Locks.none().after_edit(before, after)
    box = (slice(y, y + 4), slice(x, x + 5))
    whole = np.full(before.size, -1, np.int32)
    whole[locks.positions] = locks.values
    cropped = locks.crop(before.shape, box)
    part = np.full((4, 5), -1, np.int32)
    part.reshape(-1)[cropped.positions] = cropped.values
    np.testing.assert_array_equal(part, whole.reshape(before.shape)[box])


def test_region_keeps_objects_that_lie_in_it_by_half():
    labels = np.zeros((2, 5, 8), np.int32)
    labels[0, 0, 0:4] = 1
    labels[1, 2, 3:6] = 2
    mask = np.zeros((5, 8), bool)
    mask[:, :4] = True
    kept = keep_inside(labels, mask)
    assert (kept == 1).sum() == 4
    assert not (kept == 2).any()
    assert keep_inside(labels, None) is labels
