"""A change of pixels is done, taken back and joined bit for bit, in arrays of any order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.session.corrections import delta as module
from napari_cellseg.session.corrections.delta import Delta, in_box

LARGEST = 2**31 - 1
ids = st.sampled_from([0, 0, 1, 2, 700, LARGEST])
planes = hnp.arrays(np.int32, (4, 5), elements=ids)
stacks = hnp.arrays(np.int32, (3, 4, 5), elements=ids)
quick = settings(deadline=None, max_examples=50)


def turned(stack):
    """Return an equal array whose memory lies in another order."""
    return np.ascontiguousarray(stack.transpose(2, 0, 1)).transpose(1, 2, 0)


@quick
@given(stacks, stacks, st.booleans())
def test_a_change_is_done_and_taken_back_in_arrays_of_any_order(before, after, turn):
    now = turned(before) if turn else before.copy()
    delta = Delta.between(now, after)
    assert bool(delta) == (before != after).any()
    delta.write(now)
    np.testing.assert_array_equal(now, after)
    delta.reversed.write(now)
    np.testing.assert_array_equal(now, before)
    assert (np.diff(delta.positions) > 0).all()
    assert (delta.before != delta.after).all()


@pytest.mark.parametrize("spread", [0, 1, 10**6])
@quick
@given(stacks, stacks, stacks)
def test_two_changes_are_one(spread, first, second, third):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SPREAD", spread)
        both = Delta.between(first, second).then(Delta.between(second, third))
    direct = Delta.between(first, third)
    np.testing.assert_array_equal(both.positions, direct.positions)
    np.testing.assert_array_equal(both.before, direct.before)
    np.testing.assert_array_equal(both.after, direct.after)


def test_what_two_changes_come_to_is_worked_out_once():
    first, second, third = (np.full((2, 3), k, np.int32) for k in range(3))
    one, two = Delta.between(first, second), Delta.between(second, third)
    both = one.then(two)
    assert one.then(two) is both
    assert one.then(Delta.between(second, third)) is not both
    del two
    assert len(one._joined) == 0, "kept no longer than the later one"


@quick
@given(planes, planes)
def test_touched_objects_are_those_that_gain_or_lose_pixels(before, after):
    changed = before != after
    touched = np.union1d(before[changed], after[changed])
    assert Delta.between(before, after).ids == tuple(touched[touched > 0].tolist())


@quick
@given(stacks, stacks)
def test_planes_and_boxes_hold_all_that_changes_and_nothing_else(before, after):
    found = dict(Delta.between(before, after).planes(before.shape))
    for index in np.ndindex(before.shape[:1]):
        y, x = np.nonzero(before[index] != after[index])
        if y.size:
            assert found.pop(index) == (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
    assert not found


def test_the_plane_of_a_picture_has_no_index():
    before, after = np.zeros((2, 4, 5), np.int32)
    after[1:3, 2] = 9
    assert list(Delta.between(before, after).planes((4, 5))) == [((), (slice(1, 3), slice(2, 3)))]
    assert not list(Delta.none().planes((4, 5)))


@quick
@given(stacks, planes, st.integers(0, 2))
def test_a_box_of_one_plane(stack, other, z):
    box = (slice(1, 3), slice(2, 5))
    after = stack.copy()
    after[z][box] = other[box]
    delta = in_box(stack.shape, (z,), box, stack[z][box], after[z][box])
    direct = Delta.between(stack, after)
    np.testing.assert_array_equal(delta.positions, direct.positions)
    np.testing.assert_array_equal(delta.before, direct.before)
    np.testing.assert_array_equal(delta.after, direct.after)


@quick
@given(stacks, stacks, st.permutations(range(3)))
def test_changes_of_different_places_are_joined(before, after, order):
    parts = []
    for z in order:
        changed = before.copy()
        changed[z] = after[z]
        parts.append(Delta.between(before, changed))
    joined, direct = Delta.joined(parts), Delta.between(before, after)
    np.testing.assert_array_equal(joined.positions, direct.positions)
    np.testing.assert_array_equal(joined.before, direct.before)
    np.testing.assert_array_equal(joined.after, direct.after)


def test_joining_nothing_changes_nothing():
    assert not Delta.joined([])
    assert Delta.none().ids == ()


@pytest.mark.parametrize("after", [7, [7, 5, 7]])
def test_positions_may_come_in_any_order_and_equal_values_fall_out(after):
    delta = Delta.of(np.array([9, 2, 4]), [1, 5, 7], after)
    expected = {2: (5, 7), 4: (7, 7), 9: (1, 7)} if after == 7 else {9: (1, 7)}
    expected = {k: v for k, v in expected.items() if v[0] != v[1]}
    assert delta.positions.tolist() == list(expected)
    assert delta.before.tolist() == [old for old, _ in expected.values()]
    assert delta.after.tolist() == [new for _, new in expected.values()]


def test_memory_follows_the_changed_pixels():
    before = np.zeros((500, 500), np.int32)
    after = before.copy()
    after[10:20, 10:30] = 3
    assert Delta.between(before, after).nbytes == 200 * 16
