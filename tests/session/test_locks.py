"""Locked objects stay as they are; predicted ones make room."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.locks import Locks, keep_inside

labels_arrays = hnp.arrays(np.int32, (7, 9), elements=st.integers(0, 5))


def locks_after(*versions):
    """Return the locks after a person changed the labels from each version to the next."""
    document = Document(versions[0].copy())
    for version in versions[1:]:
        pixels = Delta.between(document.labels, version)
        pixels.write(document.labels)
        document.record("Paint", pixels)
    return document.decided().locks()


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
    locks = locks_after(before, after)
    assert locks.ids == (1,)
    assert locks.positions.size == 10


def test_erased_pixels_are_locked_as_background():
    before = np.zeros((6, 8), np.int32)
    before[1:4, 1:4] = 1
    locks = locks_after(before, np.zeros_like(before))
    assert locks.ids == ()
    assert (locks.flow_around(before) == 0).all()
    assert locks.positions.size == 9


def test_an_edit_that_is_taken_back_locks_nothing():
    document = Document(np.ones((3, 3), np.int32))
    pixels = Delta.between(document.labels, np.zeros((3, 3), np.int32))
    pixels.write(document.labels)
    document.record("Erase", pixels)
    document.undo()
    assert document.decided().locks().positions.size == 0


def test_half_covered_objects_are_kept_and_more_than_half_are_dropped():
    locked = np.zeros((4, 8), np.int32)
    locked[:, :4] = 9
    locks = locks_after(np.zeros_like(locked), locked)
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
    locked[0, 5:] = 3  # the next number, which is taken too
    locks = locks_after(np.zeros_like(locked), locked)
    predicted = np.zeros_like(locked)
    predicted[3, 4:8] = 1
    predicted[1, 4:8] = 2
    out = locks.flow_around(predicted)
    assert (out == 1).sum() == 3
    assert (out == 3).sum() == 3
    assert out[1, 4] == 2
    assert out[3, 4] not in (0, 1, 2, 3)


def test_locked_objects_may_have_any_number():
    """A table of all numbers up to the highest would take 8 GB."""
    locked = np.zeros((4, 8), np.int32)
    locked[0, :3] = 2**31 - 1
    predicted = np.zeros_like(locked)
    predicted[0, 2:8] = 1
    out = locks_after(np.zeros_like(locked), locked).flow_around(predicted)
    assert out[0].tolist() == [2**31 - 1] * 3 + [1] * 5
    assert not out[1:].any()


def test_a_second_edit_keeps_the_first_one_locked():
    start = np.zeros((6, 8), np.int32)
    once = start.copy()
    once[0, 0:3] = 4
    twice = once.copy()
    twice[5, 5:8] = 5
    assert locks_after(start, once, twice).ids == (4, 5)


def test_erased_pixels_that_are_painted_again_are_the_new_objects():
    start = np.full((3, 4), 1, np.int32)
    erased = np.zeros_like(start)
    again = erased.copy()
    again[1] = 7
    locks = locks_after(start, erased, again)
    assert locks.positions.size == start.size
    np.testing.assert_array_equal(locks.values.reshape(start.shape), again)


@settings(deadline=None, max_examples=60)
@given(labels_arrays, labels_arrays, labels_arrays)
def test_locked_pixels_are_identical_and_predicted_objects_only_shrink(before, after, predicted):
    locks = locks_after(before, after)
    changed = before != after
    erased = changed & (after == 0)
    touched = np.union1d(before[changed], after[changed])
    np.testing.assert_array_equal(
        locks.positions, np.flatnonzero(erased | np.isin(after, touched[touched > 0]))
    )
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
    locks = locks_after(before, after)
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
