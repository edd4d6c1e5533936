"""What was done, by whom and when, is told on, whatever undo forgets."""

import json
from datetime import datetime

import numpy as np
import pytest

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.session.corrections import log as module
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.log import Log
from napari_cellseg.session.corrections.states import ObjectState


def labels():
    found = np.zeros((20, 20), np.int32)
    found[2:6, 2:6], found[10:14, 2:6] = 1, 2
    return found


@pytest.fixture
def desk(monkeypatch):
    monkeypatch.setattr(module, "person", lambda: "anna")
    document, log = Document(labels()), Log()

    def follow(step):
        done = document.history.done
        log.follow(step, done[-1] if done else None)

    document.stepped.connect(follow)
    return document, log, follow


def erase(document):
    document.edit("Delete", (), [Edit((slice(2, 6), slice(2, 6)), np.zeros((4, 4), np.int32))])


def test_who_decided_what_and_when(desk):
    document, log, _ = desk
    document.decide("Accept", {2: ObjectState("accepted", True)})
    erase(document)
    document.decide("Class 'odd'", {2: document.states[2].classed("odd")})
    document.decide("Unlock", {2: ObjectState("", False, "odd")})
    assert [one["name"] for one in log.entries] == ["Accept", "Delete", "Class 'odd'", "Unlock"]
    assert {one["by"] for one in log.entries} == {"anna"}
    for one in log.entries:
        assert datetime.fromisoformat(one["when"]).tzinfo is not None
    accept, delete, given, unlock = log.entries
    assert (accept["objects"], accept["pixels"], accept["decided"]) == ([2], 0, {"accepted": [2]})
    assert (delete["objects"], delete["pixels"]) == ([1], 16)
    assert given["classes"] == {"odd": [2]}
    assert unlock["decided"] == {"open": [2]}
    json.dumps(log.entries, allow_nan=False)


def test_undo_and_redo_are_told_and_forget_nothing(desk):
    document, log, _ = desk
    erase(document)
    document.undo()
    document.redo()
    document.undo()
    document.decide("Accept", {1: ObjectState("accepted", True)})
    assert [(one["name"], one.get("undo", False)) for one in log.entries] == [
        ("Delete", False),
        ("Delete", True),
        ("Delete", False),
        ("Delete", True),
        ("Accept", False),
    ]


def slide(document, to, facts):
    now = document.decided().labels
    from napari_cellseg.session.corrections.delta import Delta

    document.replace("Area", to.copy(), to, Delta.between(now, to), facts, together=True)


def test_the_moves_of_one_slider_are_one_entry(desk):
    document, log, _ = desk
    erase(document)
    start, none = document.decided().labels, np.zeros((20, 20), np.int32)
    half = start.copy()
    half[12:14] = 0
    slide(document, half, ("a", "b"))
    slide(document, none, ("b", "c"))
    assert [(one["name"], one["pixels"]) for one in log.entries] == [("Delete", 16), ("Area", 16)]
    document.undo()
    document.redo()
    assert [one["name"] for one in log.entries] == ["Delete", "Area", "Area", "Area"]


def test_it_goes_on_from_before_and_ends_nowhere(desk, monkeypatch):
    document, _, _ = desk
    log = Log([{"name": "Merge"}, "nonsense"])
    monkeypatch.setattr(module, "LONGEST", 3)
    for k in range(4):
        step = document.decide(f"Skip {k}", {k + 1: ObjectState("skipped")})
        log.follow(step, step)
    assert [one["name"] for one in log.entries] == ["Skip 1", "Skip 2", "Skip 3"]
    log.entries.clear()
    assert len(log.entries) == 3


def test_a_person_without_a_name(monkeypatch):
    def unknown():
        raise KeyError("no such user")

    monkeypatch.setattr(module.getpass, "getuser", unknown)
    module.person.cache_clear()
    assert module.person() == ""
    module.person.cache_clear()
