"""Steps go back and forth in their order, and the oldest are forgotten when there are too many."""

import numpy as np
import pytest

from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.history import History, Step
from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState


def step(name, old=0, new=1, at=0, size=1, **more):
    """Return a step that changes `size` pixels from `at` on."""
    return Step(name, Delta.of(np.arange(at, at + size), old, new), **more)


def facts_of(found):
    return found.pixels.before.tolist(), found.pixels.after.tolist(), found.facts


def test_steps_come_back_in_their_order():
    history = History()
    assert history.undo() is history.redo() is None
    steps = [step(name) for name in "abc"]
    for one in steps:
        history.add(one)
    assert (len(history), history.undo_name, history.redo_name) == (3, "c", "")
    assert history.undo() is steps[2]
    assert history.undo() is steps[1]
    assert (history.undo_name, history.redo_name) == ("a", "b")
    assert history.redo() is steps[1]
    assert (history.undo_name, history.redo_name) == ("b", "c")


def test_a_new_step_forgets_the_undone_ones():
    history = History()
    for name in "ab":
        history.add(step(name))
    history.undo()
    history.add(step("c"))
    assert history.redo() is None
    assert [history.undo().name for _ in range(2)] == ["c", "a"]


def test_a_reversed_step_takes_back_everything():
    accepted = ObjectState("accepted", True)
    done = step(
        "x",
        states={1: (UNTOUCHED, accepted)},
        freed=np.array([3]),
        claimed=np.array([4, 5]),
        facts=("old", "new"),
    )
    back = done.reversed
    assert facts_of(back) == ([1], [0], ("new", "old"))
    assert back.states == {1: (accepted, UNTOUCHED)}
    assert (back.freed.tolist(), back.claimed.tolist()) == ([4, 5], [3])
    assert step("y").reversed.facts is None


@pytest.mark.parametrize(
    ("more", "something"),
    [
        ({}, False),
        ({"facts": (1, 2)}, True),
        ({"freed": np.array([1])}, True),
        ({"claimed": np.array([1])}, True),
        ({"states": {1: (UNTOUCHED, ObjectState("skipped"))}}, True),
        ({"pixels": Delta.of(np.array([1]), 0, 2)}, True),
    ],
)
def test_a_step_is_something_if_anything_changes(more, something):
    assert bool(Step("x", **more)) is something


def test_moves_of_one_slider_are_one_step():
    history = History()
    history.add(step("Draw"))
    history.add(step("Area", 0, 1, facts=("a", "b")), together=True)
    history.add(step("Area", 1, 2, facts=("b", "c")), together=True)
    assert len(history) == 2
    assert facts_of(history.undo()) == ([0], [2], ("a", "c"))
    assert history.undo_name == "Draw"


def test_only_the_last_step_of_that_name_is_continued():
    history = History()
    history.add(step("Area", 0, 1), together=True)
    history.add(step("Threshold", 1, 2), together=True)
    history.add(step("Area", 2, 3), together=True)
    history.add(step("Area", 3, 4))
    assert len(history) == 4
    history.undo()
    history.add(step("Area", 3, 5), together=True)
    assert len(history) == 4, "a step that comes after an undo stands alone"
    history.undo()
    history.redo()
    history.add(step("Area", 5, 6), together=True)
    assert len(history) == 4


def test_a_step_that_frees_or_claims_positions_stands_alone():
    history = History()
    history.add(step("Smooth", freed=np.array([7])))
    history.add(step("Smooth", 1, 2), together=True)
    assert len(history) == 2
    history.add(step("Smooth", 2, 3, claimed=np.array([7])), together=True)
    assert len(history) == 3


def test_moves_that_cancel_out_leave_no_step():
    history = History()
    history.add(step("Draw"))
    history.add(step("Area", 0, 1, at=5), together=True)
    history.add(step("Area", 1, 0, at=5), together=True)
    assert history.undo_name == "Draw"
    assert history.redo_name == ""


def test_the_oldest_steps_are_forgotten_but_never_the_last_hundred():
    few = History(limit=5)
    for k in range(9):
        few.add(step(str(k)))
    assert len(few) == 5
    assert few.undo_name == "8"
    small = History(memory=1000)
    for k in range(150):
        small.add(step(str(k), size=100))
    assert len(small) == 100
    assert History().add(step("x")) is None
    light = History(memory=150 * 16)
    for k in range(150):
        light.add(step(str(k)))
    assert len(light) == 150


def test_memory_of_a_step_counts_all_that_it_keeps():
    plain = step("x", size=10)
    assert plain.nbytes == 160
    more = step("x", size=10, freed=np.arange(4), states={1: (UNTOUCHED, ObjectState("skipped"))})
    assert more.nbytes >= 160 + 32 + 50


# What runs leave


class Maps:
    """Maps of a run, as far as a history is concerned."""

    def __init__(self, size):
        self.nbytes = (size, 0)
        self.rested = 0

    def rest(self):
        self.rested += 1

    def put_away(self):
        self.nbytes = (0, sum(self.nbytes))


class Fact:
    """A run: its maps, and a part that takes memory too."""

    def __init__(self, held, part=0):
        self.held, self.parts = held, {id(self): part} if part else {}


def again(history, runs):
    """Note that each of the runs follows the one before it."""
    for k in range(1, len(runs)):
        history.add(step("Run again", k, k + 1, facts=(Fact(runs[k - 1]), Fact(runs[k]))))


def put_away(history):
    found = history.surplus()
    for held in found:
        held.put_away()
    return found


def test_maps_of_earlier_runs_leave_the_memory_the_oldest_first():
    history, runs = History(maps=(250, 10_000)), [Maps(100) for _ in range(6)]
    again(history, runs[:3])
    assert put_away(history) == []
    assert [one.rested for one in runs[:3]] == [1, 1, 0], "the present run is in use"
    again(history, runs[2:5])
    assert put_away(history) == runs[:2]
    again(history, runs[4:])
    assert put_away(history) == runs[2:3]
    assert sum(one.nbytes[0] for one in runs[:-1]) <= 250
    assert len(history) == 5, "every step can still be taken back"
    assert put_away(history) == []
    for k in range(5):
        assert history.undo().facts[0].held is runs[4 - k]
    assert runs[0] not in history.surplus(), "it is the present one by now"


def test_a_present_run_is_never_put_away():
    history, runs = History(maps=(0, 10_000)), [Maps(100) for _ in range(3)]
    again(history, runs)
    assert put_away(history) == runs[:2]
    history.undo()
    assert history.surplus() == [runs[2]], "the undone one, not that which is on screen"
    history.undo()
    assert history.surplus() == [runs[2]], "runs[1] is on disk already"


def test_steps_up_to_the_oldest_maps_go_when_the_disk_has_had_enough():
    history, runs = History(maps=(0, 350)), [Maps(100) for _ in range(8)]
    history.add(step("Draw"))
    for k in range(1, len(runs)):
        again(history, runs[k - 1 : k + 1])
        put_away(history)
        history.add(step("Merge", at=k))
    kept = {held for one in history.done for held in one.held}
    assert kept == set(runs[4:]), "three earlier runs, and the present one"
    assert history.done[0].name == "Merge"
    assert [one.name for one in history.done].count("Run again") == 3


def test_a_run_for_which_there_is_no_room_ends_the_history():
    history, runs = History(), [Maps(100) for _ in range(3)]
    again(history, runs)
    history.forget(runs[1])
    assert len(history) == 0
    again(history, runs)
    history.undo()
    history.forget(runs[2])
    assert (history.undo_name, history.redo_name) == ("Run again", "")


def test_parts_of_facts_count_once():
    shared = Fact(None, 600)
    history = History(memory=1000)
    for k in range(150):
        history.add(step(str(k), facts=(shared, shared)))
    assert len(history) == 100, "600 bytes and 16 a step"
    history = History(memory=4000)
    for k in range(150):
        history.add(step(str(k), facts=(shared, shared)))
    assert len(history) == 150
    for k in range(10):
        history.add(step(str(k), facts=(Fact(None, 600), shared)))
    assert len(history) == 100


def test_what_takes_a_step_back_says_so():
    done = step("x")
    assert not done.takes_back
    assert done.reversed.takes_back
    assert not done.reversed.reversed.takes_back
