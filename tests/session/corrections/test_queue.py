"""The review queue: order, decisions, filter, time, and resuming from a table."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.review.risk import SIGNS, RiskTable
from napari_cellseg.session.corrections.queue import LONGEST_LOOK, ReviewQueue
from napari_cellseg.session.corrections.review import DONE, QueueFilter, Review
from napari_cellseg.session.corrections.review_features import from_features, to_features


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def table(risks, areas=None):
    ids = np.array(sorted(risks), np.int64)
    n = len(ids)
    risk = np.array([risks[k] for k in ids.tolist()], np.float64)
    area = np.array([(areas or {}).get(k, 100.0) for k in ids.tolist()], np.float64)
    zero = np.zeros(n)
    parts = dict.fromkeys(SIGNS, zero)
    return RiskTable(ids, risk, area, np.zeros(n, np.int64), zero, zero, parts)


def queue_of(risks, areas=None, clock=None):
    queue = ReviewQueue(clock=clock or Clock())
    queue.update(table(risks, areas))
    return queue


RISKS = {1: 0.1, 2: 0.9, 3: 0.5, 4: 0.5, 7: 0.3}


def test_highest_risk_first_and_of_equal_ones_the_lowest_number():
    queue = queue_of(RISKS)
    assert queue.shown == [2, 3, 4, 7, 1]
    assert [queue.next() for _ in range(6)] == [2, 3, 4, 7, 1, 2]


def test_previous_goes_back_to_done_ones_and_stays_at_the_beginning():
    queue = queue_of(RISKS)
    queue.next()
    queue.accept()
    assert queue.previous() == 2
    assert queue.previous() == 2
    assert queue.next() == 3
    queue.go_to(None)
    assert queue.previous() == 1
    assert ReviewQueue().previous() is None


def test_skipped_ones_come_again_at_the_end_and_then_nothing():
    queue = queue_of(RISKS)
    queue.next()
    assert queue.skip() == 3
    assert [queue.accept() for _ in range(4)] == [4, 7, 1, 2]
    assert queue.progress.skipped == 1
    assert queue.accept() is None
    assert queue.progress.done == 5
    assert queue.next() is None


def test_skipping_over_and_over_goes_round_the_skipped_ones():
    queue = queue_of({1: 0.9, 2: 0.5})
    queue.next()
    assert [queue.skip() for _ in range(4)] == [2, 1, 2, 1]


def test_deciding_without_a_current_object_decides_nothing():
    queue = queue_of(RISKS)
    assert queue.accept() == 2
    assert queue.progress.done == 0


def test_the_queue_goes_on_from_a_deleted_object():
    queue = queue_of(RISKS)
    queue.go_to(3)
    queue.mark([3], Review.DELETED)
    assert 3 not in queue.shown
    assert queue.next() == 4


def test_above_are_the_open_shown_ones_that_are_safer():
    queue = queue_of(RISKS, {7: 5.0})
    assert queue.above(3) == [4, 7, 1]
    queue.mark([4], Review.SKIPPED)
    queue.filter = QueueFilter(min_area=50)
    assert queue.above(3) == [1]
    assert queue.above(1) == []
    assert queue.above(99) == []


def test_filter_by_area_and_class():
    queue = queue_of(RISKS, {1: 10.0, 2: 20.0, 3: 30.0})
    queue.filter = QueueFilter(min_area=20, max_area=30)
    assert queue.shown == [2, 3]
    queue.set_classes({2: "tumour", 4: "tumour", 7: "other"})
    queue.filter = QueueFilter(classes=frozenset({"tumour"}))
    assert queue.shown == [2, 4]
    assert [queue.next() for _ in range(3)] == [2, 4, 2]
    queue.filter = QueueFilter(classes=frozenset({""}))
    assert queue.shown == [3, 1]
    assert queue.progress.total == 5


def test_a_newly_drawn_object_of_unknown_size_passes_the_area_filter():
    queue = queue_of(RISKS)
    queue.filter = QueueFilter(min_area=200)
    queue.mark([50], Review.EDITED)
    assert queue.shown == [50]


def test_restore_undoes_mark_also_for_objects_that_were_unknown():
    queue = queue_of(RISKS)
    queue.mark([1], Review.SKIPPED)
    before = queue.mark([1, 2, 50], Review.EDITED)
    assert before == {1: Review.SKIPPED, 2: Review.OPEN, 50: None}
    after = queue.restore(before)
    assert (queue.state(1), queue.state(2), queue.state(50)) == (Review.SKIPPED, Review.OPEN, None)
    queue.restore(after)
    assert queue.state(50) is Review.EDITED
    queue.go_to(50)
    queue.restore({50: None})
    assert queue.current is None


def test_a_new_prediction_keeps_decisions_and_forgets_what_is_gone():
    queue = queue_of(RISKS)
    queue.mark([1], Review.ACCEPTED)
    queue.mark([3], Review.EDITED)
    queue.mark([4], Review.SKIPPED)
    queue.mark([7], Review.DELETED)
    queue.go_to(2)
    queue.update(table({1: 0.7, 7: 0.2, 8: 0.4}))
    states = {label: entry.state for label, entry in queue.entries.items()}
    assert states == {
        1: Review.ACCEPTED,
        3: Review.DELETED,  # was decided, so that a person took it away
        7: Review.OPEN,  # its number is in use again
        8: Review.OPEN,
    }
    assert queue.entries[1].risk == 0.7
    assert queue.current is None
    assert queue.next() == 8


def test_active_time_goes_to_the_current_object_and_leaves_out_absences():
    clock = Clock()
    queue = queue_of(RISKS, clock=clock)
    queue.next()
    clock.now += 4
    queue.touch()
    clock.now += 2
    queue.accept()
    clock.now += LONGEST_LOOK + 1
    queue.touch()
    clock.now += 10
    queue.pause()
    clock.now += 5
    queue.accept()
    assert queue.entries[2].seconds == 6
    assert queue.entries[3].seconds == 10
    assert queue.progress.elapsed == 16
    assert queue.progress.remaining == (6 + 10) / 2 * 3


def test_estimate_leaves_out_objects_accepted_in_one_go():
    clock = Clock()
    queue = queue_of(RISKS, clock=clock)
    assert queue.progress.remaining is None
    queue.next()
    clock.now += 8
    queue.accept()
    queue.mark([1, 7], Review.ACCEPTED)
    assert queue.progress.remaining == 16
    queue.mark([3, 4], Review.ACCEPTED)
    assert queue.progress.remaining == 0


def test_the_table_resumes_the_queue_even_as_text():
    clock = Clock()
    queue = queue_of(RISKS, {1: 42.0}, clock)
    queue.next()
    clock.now += 3
    queue.accept()
    queue.mark([7], Review.DELETED)
    queue.mark([50], Review.EDITED)
    columns = to_features(queue)
    assert columns["index"].tolist() == [1, 2, 3, 4, 7, 50]
    as_text = {name: [str(value) for value in column] for name, column in columns.items()}
    for saved in (columns, as_text):
        again = from_features(saved)
        assert again.shown == queue.shown
        for label, entry in queue.entries.items():
            other = again.entries[label]
            assert (other.risk, other.state, other.seconds) == (
                entry.risk,
                entry.state,
                entry.seconds,
            )
            assert other.area == entry.area or (math.isnan(other.area) and label == 50)
        assert again.progress == queue.progress


def test_a_table_of_anything_else_is_taken_for_open_objects():
    queue = from_features({"index": [0, 3.0, "4"], "review": ["", math.nan, "??"], "risk": [1] * 3})
    assert {label: e.state for label, e in queue.entries.items()} == {
        3: Review.OPEN,
        4: Review.OPEN,
    }
    assert queue.entries[3].reason == ""
    assert math.isnan(queue.entries[3].area)


@pytest.mark.parametrize("columns", [{}, {"index": [1.5]}, {"index": ["x"]}, {"index": [-2]}])
def test_a_table_without_label_numbers_is_refused(columns):
    with pytest.raises(DataError, match="index"):
        from_features(columns)


actions = st.lists(
    st.sampled_from("next previous accept skip edit delete undo filter update save".split()),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.integers(1, 9), st.sampled_from([0.1, 0.5, 0.9]), max_size=7), actions)
def test_whatever_is_done_the_queue_stays_consistent(risks, steps):
    queue = queue_of(risks)
    undo = {}
    for step in steps:
        if step in ("next", "previous", "accept", "skip"):
            getattr(queue, step)()
        elif step in ("edit", "delete") and queue.current is not None:
            state = Review.EDITED if step == "edit" else Review.DELETED
            undo = queue.mark([queue.current], state)
        elif step == "undo":
            queue.restore(undo)
        elif step == "filter":
            queue.filter = QueueFilter(max_area=50 if queue.filter.max_area > 50 else math.inf)
        elif step == "update":
            queue.update(table({k: 1 - risk for k, risk in risks.items() if k % 3}))
        elif step == "save":
            again = from_features(to_features(queue))
            assert again.entries == queue.entries
        progress = queue.progress
        states = [entry.state for entry in queue.entries.values()]
        assert progress.total == len(states)
        assert progress.done == sum(state in DONE for state in states)
        assert queue.current is None or queue.current in queue.entries
        risk = [queue.entries[label].risk for label in queue.shown]
        assert risk == sorted(risk, reverse=True)
    if queue.next() is None:
        assert all(queue.state(label) in DONE for label in queue.shown)
