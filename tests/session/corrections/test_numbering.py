"""Objects that are predicted again keep their numbers, and new ones never get an old one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.session.corrections.numbering import HIGHEST_ID, keep_numbers, unused_numbers

previous_labels = hnp.arrays(np.int32, (6, 7), elements=st.sampled_from([0, 0, 3, 8, 41]))
predicted_labels = hnp.arrays(np.int32, (6, 7), elements=st.sampled_from([0, 0, 1, 2, 3, 4]))
quick = settings(deadline=None, max_examples=60)


def bars(*rows):
    """Return labels of one row each."""
    return np.array(rows, np.int32)


def test_an_object_continues_the_one_with_which_it_shares_most():
    previous = bars([7, 7, 7, 7, 0, 9, 9, 0])
    labels = bars([0, 1, 1, 1, 1, 2, 2, 2])
    assert keep_numbers(previous, labels, (), 9)[0].tolist() == [0, 7, 7, 7, 7, 9, 9, 9]


def test_of_two_halves_the_larger_keeps_the_number():
    previous = bars([7, 7, 7, 7, 7, 7])
    labels = bars([1, 1, 0, 2, 2, 2])
    assert keep_numbers(previous, labels, (), 20)[0].tolist() == [21, 21, 0, 7, 7, 7]


def test_a_merged_object_keeps_the_number_of_its_larger_part():
    previous = bars([5, 5, 0, 7, 7, 7])
    labels = bars([1, 1, 1, 1, 1, 1])
    assert set(keep_numbers(previous, labels, (), 20)[0].tolist()) == {7}


def test_objects_that_nothing_preceded_get_numbers_above_all():
    labels = bars([1, 0, 2, 0, 3])
    assert keep_numbers(np.zeros_like(labels), labels, (), 30)[0].tolist() == [31, 0, 32, 0, 33]


def test_locked_objects_keep_their_numbers_and_give_them_to_nobody():
    previous = bars([4, 4, 4, 4, 6, 6])
    labels = bars([4, 4, 1, 1, 2, 2])  # 4 is locked, and 1 lies where it was
    assert keep_numbers(previous, labels, (4,), 6)[0].tolist() == [4, 4, 7, 7, 6, 6]


def test_nothing_is_copied_where_nothing_changes():
    labels = bars([1, 1, 0, 2])
    assert keep_numbers(labels.copy(), labels, (), 2) is labels
    only_locked = bars([5, 5, 0])
    assert keep_numbers(np.zeros_like(only_locked), only_locked, (5,), 9) is only_locked
    empty = np.zeros((3, 4), np.int32)
    assert keep_numbers(empty, empty, (), 0) is empty


def test_a_locked_object_may_have_the_highest_number():
    """A table of all numbers up to it would take 8 GB, and the next one would be negative."""
    previous = bars([HIGHEST_ID, HIGHEST_ID, 0, 3, 3, 0, 0])
    labels = bars([HIGHEST_ID, HIGHEST_ID, 0, 1, 1, 0, 2])
    out = keep_numbers(previous, labels, (HIGHEST_ID,), HIGHEST_ID)
    assert out.dtype == np.int32
    assert out[0].tolist() == [HIGHEST_ID, HIGHEST_ID, 0, 3, 3, 0, 1]


def test_unused_numbers_begin_anew_only_when_the_highest_are_used_up():
    taken = np.array([1, 2, 4, HIGHEST_ID])
    assert unused_numbers(3, 10, taken).tolist() == [11, 12, 13]
    assert unused_numbers(2, HIGHEST_ID - 2, taken).tolist() == [HIGHEST_ID - 1, HIGHEST_ID]
    assert unused_numbers(3, HIGHEST_ID - 2, taken).tolist() == [3, 5, 6]
    assert unused_numbers(0, HIGHEST_ID, taken).size == 0


@quick
@given(previous_labels, predicted_labels, st.booleans())
def test_outlines_stay_and_numbers_are_given_once(previous, predicted, lock):
    labels = predicted.copy()
    fixed = (41,) if lock and (previous == 41).any() else ()
    if fixed:
        labels[previous == 41] = 41
    before, old = labels.copy(), previous.copy()
    out = keep_numbers(previous, labels, fixed, 50)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(previous, old)
    pairs = set(zip(before.ravel().tolist(), out.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    for was, name in pairs:
        assert (was == 0) == (name == 0)
        if was in fixed:
            assert name == was
        elif name:
            overlaps = ((out == name) & (previous == name)).any()
            assert overlaps if name <= 50 else True
            assert name not in fixed
    shared = {
        (a, b): int(((out == a) & (previous == b)).sum())
        for a in np.unique(out)
        for b in np.unique(previous)
        if a and b and a not in fixed and b not in fixed
    }
    for (a, b), count in shared.items():
        others = [n for (c, d), n in shared.items() if (c == a) != (d == b)]
        if count > max(others, default=0):
            assert a == b, "each shares most with the other"
