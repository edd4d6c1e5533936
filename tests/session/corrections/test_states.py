"""What was decided about objects: changed, taken back, and kept as plain values."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState, States, joined

states = st.builds(
    ObjectState,
    st.sampled_from(["", "edited", "accepted", "skipped"]),
    st.booleans(),
    st.sampled_from(["", "round"]),
)
several = st.dictionaries(st.sampled_from([1, 2, 7, 2**31 - 1]), states)
quick = settings(deadline=None, max_examples=60)


def test_nothing_is_known_of_an_object_that_nobody_touched():
    known = States({1: UNTOUCHED, 2: ObjectState("accepted", True)})
    assert list(known) == [2]
    assert len(known) == 1
    assert known[1] == known[99] == UNTOUCHED


def test_an_edited_object_is_locked_and_keeps_its_class():
    state = ObjectState("skipped", False, "round").edited()
    assert state == ObjectState("edited", True, "round")


def test_an_object_that_got_a_class_is_locked_and_an_accepted_one_stays_accepted():
    assert ObjectState("skipped").classed("round") == ObjectState("edited", True, "round")
    assert ObjectState("accepted", True).classed("round") == ObjectState("accepted", True, "round")
    loose = ObjectState("edited", False, "flat")  # unlocked by hand
    assert loose.classed("round") == ObjectState("edited", True, "round")


@quick
@given(several, several)
def test_a_change_is_made_and_taken_back(old, new):
    known = States(old)
    change = known.change(new)
    assert known == States(old), "it is not made yet"
    assert all(before != after for before, after in change.values())
    known.make(change)
    for label in {*old, *new}:
        assert known[label] == new.get(label, old.get(label, UNTOUCHED))
    known.make(change, undo=True)
    assert known == States(old)


@quick
@given(several, several, several)
def test_two_changes_are_one(old, new, newer):
    known = States(old)
    first = known.change(new)
    known.make(first)
    second = known.change(newer)
    known.make(second)
    at_once = States(old)
    both = joined(first, second)
    at_once.make(both)
    assert at_once == known
    assert all(before != after for before, after in both.values())
    at_once.make(both, undo=True)
    assert at_once == States(old)


@quick
@given(several)
def test_states_come_back_through_json(old):
    assert States.from_json(json.loads(json.dumps(States(old).to_json()))) == States(old)


def test_columns_of_different_lengths_are_refused():
    columns = States({3: ObjectState("edited", True)}).to_json()
    with pytest.raises(ValueError, match="shorter"):
        States.from_json(columns | {"locked": []})
    assert States.from_json({}) == States()


@quick
@given(several)
def test_objects_are_found_by_lock_and_decision(old):
    known = States(old)
    assert known.locked == tuple(sorted(i for i, s in old.items() if s.locked))
    for decision in ("edited", "accepted", "skipped"):
        wanted = sorted(i for i, s in old.items() if s.decision == decision)
        assert known.where(decision) == tuple(wanted)
