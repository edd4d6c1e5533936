"""What a journal keeps of a document is the document, after every step and its undo."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.session.corrections._record import decode, encode
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.keeping import base_of, record_of, record_of_area, replay
from napari_cellseg.session.corrections.numbering import renumbered
from napari_cellseg.session.corrections.states import ObjectState, States

ABOUT = {"name": "cells", "axes": "YX", "scale": [0.5, 0.5]}
DECISIONS = (
    ObjectState("accepted", True),
    ObjectState("skipped"),
    ObjectState("accepted", True, "mitosis"),
    ObjectState(),
)


def through_text(base):
    """Return what JSON gives back."""
    return json.loads(json.dumps(base))


class Kept:
    """A document, and a journal of it in memory."""

    def __init__(self, labels, states=None, erased=None):
        self.document = Document(labels, states=states, erased=erased)
        self.begin()
        self.document.stepped.connect(self.on_step)
        self.area = None
        self.document.area_set.connect(self.on_area)

    def begin(self):
        """Start a generation, as a compaction does."""
        decided = self.document.decided()
        self.base = through_text(base_of(ABOUT, decided, self.document.states))
        self.labels, self.records = decided.labels.copy(), []

    def on_step(self, step):
        self.records.append(decode(encode(*record_of(step))))

    def on_area(self, area):
        self.area = area
        self.records.append(decode(encode(*record_of_area(area))))

    def check(self):
        recovered, document = replay(self.base, self.labels, self.records), self.document
        np.testing.assert_array_equal(recovered.labels, document.labels)
        assert recovered.labels.dtype == np.int32
        assert recovered.labels.flags.c_contiguous
        assert recovered.states == document.states
        np.testing.assert_array_equal(recovered.erased, document.erased)
        assert (recovered.reviewed is None) == (self.area is None)
        if self.area is not None:
            np.testing.assert_array_equal(recovered.reviewed, self.area)
        assert recovered.about == ABOUT


def step(document, rng, what):
    """Do something to a document."""
    shape = document.labels.shape
    index = tuple(int(rng.integers(n)) for n in shape[:-2])
    known = np.unique(document.labels)
    if what == "draw":
        top, left = int(rng.integers(shape[-2])), int(rng.integers(shape[-1]))
        size = (min(3, shape[-2] - top), min(4, shape[-1] - left))
        value = rng.choice([0, document.new_id(), *known])
        after = np.full(size, value, np.int32)
        box = (slice(top, top + size[0]), slice(left, left + size[1]))
        document.edit("Draw", index, [Edit(box, after)])
    elif what == "paint":
        after = np.where(rng.random(shape) < 0.2, rng.choice([0, *known]), document.labels)
        pixels = Delta.between(document.labels, after.astype(np.int32))
        pixels.write(document.labels)
        document.record("Paint", pixels)
    elif what == "decide":
        chosen = rng.permutation(known[known > 0])[:2].tolist()
        document.decide("Decide", {i: DECISIONS[int(rng.integers(4))] for i in chosen})
    elif what == "predict":
        after = np.where(rng.random(shape) < 0.5, document.labels, 0).astype(np.int32)
        decided = document.decided()
        after = decided.locks().flow_around(after)
        pixels = Delta.between(decided.labels, after)
        together = bool(rng.random() < 0.5)
        document.replace("Area", after.copy(), after, pixels, ("a", "b"), together)
    elif what == "area":
        marked = rng.random(shape) < 0.5
        document.set_reviewed(marked if marked.any() and rng.random() < 0.7 else None)
    elif what == "renumber":
        document.renumber(renumbered(document.decided().labels, document.version))
    else:
        getattr(document, what)()


WHAT = st.sampled_from(
    ["draw", "paint", "decide", "predict", "renumber", "area", "undo", "redo", "undo"]
)


@settings(max_examples=60)
@given(
    shape=st.sampled_from([(7, 9), (3, 5, 6), (2, 2, 4, 5)]),
    turn=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(WHAT, max_size=14),
    begin_again=st.integers(0, 14),
)
def test_replay_gives_the_document_after_every_step(shape, turn, seed, steps, begin_again):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 0, 1, 2, 5, 900], shape).astype(np.int32)
    kept = Kept(np.ascontiguousarray(labels.T).T if turn else labels)
    kept.check()
    for number, what in enumerate(steps):
        if number == begin_again:
            kept.begin()
        step(kept.document, rng, what)
        kept.check()


def test_what_was_known_before_the_first_step_is_kept():
    labels = np.array([[1, 1, 0], [0, 2, 2]], np.int32)
    kept = Kept(labels, States({2: DECISIONS[2]}), np.array([2, 3]))
    kept.check()
    kept.document.decide("Unlock", {2: ObjectState()})
    kept.document.edit("Draw", (), [Edit((slice(0, 1), slice(2, 3)), np.array([[2]], np.int32))])
    kept.check()
    recovered = replay(kept.base, kept.labels, kept.records[:1])
    assert recovered.erased.tolist() == [2, 3]
    assert len(recovered.states) == 0


def test_a_recovered_document_goes_on():
    labels = np.zeros((6, 6), np.int32)
    labels[1:3, 1:3] = 4
    kept = Kept(labels)
    kept.document.decide("Accept", {4: DECISIONS[0]})
    kept.document.edit("Erase", (), [Edit((slice(1, 2), slice(1, 2)), np.zeros((1, 1), np.int32))])
    recovered = replay(kept.base, kept.labels, kept.records)
    again = Kept(recovered.labels, recovered.states, recovered.erased)
    again.check()
    assert again.document.handled
    assert again.document.new_id() == 5
    again.document.edit(
        "Draw", (), [Edit((slice(1, 2), slice(1, 2)), np.full((1, 1), 4, np.int32))]
    )
    again.check()
    assert again.document.erased.size == 0
