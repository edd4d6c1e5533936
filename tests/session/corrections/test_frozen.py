"""Labels that go on changing while somebody keeps what they were."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.frozen import Freezer, Frozen


def change(live, freezer, values):
    pixels = Delta.between(live, values)
    freezer.note(pixels)
    pixels.write(live)


def field(seed, shape=(3, 8, 9)):
    return np.random.default_rng(seed).integers(0, 5, shape).astype(np.int32)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5), st.booleans())
def test_a_copy_made_later_shows_what_was(seeds, turned):
    live = field(99).transpose(0, 2, 1) if turned else field(99)
    before, freezer = live.copy(), Freezer()
    frozen = freezer.frozen(live, 1)
    for seed in seeds:
        change(live, freezer, field(seed, live.shape))
    np.testing.assert_array_equal(frozen.labels, before)
    assert frozen.labels.flags.c_contiguous
    change(live, freezer, field(51, live.shape))
    np.testing.assert_array_equal(frozen.labels, before)
    with pytest.raises(ValueError, match="read-only"):
        frozen.labels[0] = 1


def test_a_change_in_the_middle_of_the_copying_is_taken_back():
    before, freezer = field(1), Freezer()

    live = before.copy()
    frozen = freezer.frozen(live, 1)
    frozen._live = Reading(live, lambda: change(live, freezer, field(2)))
    np.testing.assert_array_equal(frozen.labels, before)


class Reading:
    """An array that somebody changes when half of it has been read."""

    def __init__(self, live, act):
        self.live, self.act = live, act

    def __array__(self, dtype=None, copy=None):
        first = self.live[:1].copy()
        self.act()
        return np.concatenate([first, self.live[1:]])


def test_one_for_each_version_and_nothing_is_copied_before_it_is_looked_at():
    freezer, live = Freezer(), field(0)
    one = freezer.frozen(live, 1)
    assert freezer.frozen(live, 1) is one
    assert one._copy is None
    change(live, freezer, field(1))
    two = freezer.frozen(live, 2)
    assert two is not one
    np.testing.assert_array_equal(two.labels, field(1))
    np.testing.assert_array_equal(one.labels, field(0))


def test_labels_that_were_replaced_stay_as_they_are():
    freezer, old = Freezer(), field(0)
    frozen = freezer.frozen(old, 1)
    freezer.leave()
    freezer.note(Delta.between(field(1), field(2)))  # of the new labels
    np.testing.assert_array_equal(frozen.labels, field(0))


def test_known_labels_are_not_copied():
    labels = field(3)
    assert np.shares_memory(Frozen.of(labels).labels, labels)


def test_workers_and_a_hand_at_the_same_time():
    document = Document(np.zeros((60, 60), np.int32))
    wrong = []
    for number in range(1, 40):
        truth, decided = document.labels.copy(), document.decided()

        def look(decided=decided, truth=truth):
            if not np.array_equal(decided.labels, truth):
                wrong.append(decided)

        workers = [threading.Thread(target=look) for _ in range(3)]
        for worker in workers:
            worker.start()
        after = document.labels.copy()
        after[number : number + 15, number : number + 15] = number
        document.change("Draw", Delta.between(document.labels, after))
        for worker in workers:
            worker.join()
    assert not wrong


def test_a_part_of_what_is_decided():
    document = Document(field(5))
    after = document.labels.copy()
    after[1, 2:5, 2:5] = 0
    document.change("Erase", Delta.between(document.labels, after))
    area = np.zeros(after.shape, bool)
    area[1, 4:] = True
    document.set_reviewed(area)
    whole, part = document.decided(), document.decided().part((1,), np.s_[1:7, 3:9])
    for name in ("labels", "erased", "reviewed"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[1, 1:7, 3:9])
    assert (part.locked, part.highest) == (whole.locked, whole.highest)
