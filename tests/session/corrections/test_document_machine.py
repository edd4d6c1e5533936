"""Random edits, decisions, predictions, undo and redo against full copies of everything."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.numbering import keep_numbers, renumbered
from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState

seeds = st.integers(0, 2**32 - 1)
objects = st.sampled_from(
    [
        ObjectState("accepted", True),
        ObjectState("skipped", False),
        ObjectState("accepted", False, "round"),
        UNTOUCHED,
    ]
)


def turned(labels):
    """Return an equal array whose memory lies in another order."""
    return np.ascontiguousarray(labels.T).T


class Corrections(RuleBasedStateMachine):
    """`past` and `future` hold (labels, states, erased); the last of `past` is the present."""

    @initialize(
        shape=st.sampled_from([(7, 9), (3, 5, 6), (2, 2, 4, 5)]), turn=st.booleans(), seed=seeds
    )
    def open(self, shape, turn, seed):
        labels = np.random.default_rng(seed).choice([0, 0, 1, 2, 5, 900], shape).astype(np.int32)
        self.order = turned if turn else np.copy
        self.document = Document(self.order(labels))
        self.past, self.future, self.names = [(labels, {}, np.zeros(shape, bool))], [], []
        self.ever = set(labels.ravel().tolist())
        self.echo = labels.copy()
        self.document.stepped.connect(lambda step: step.pixels.write(self.echo))

    # The plain model

    @property
    def labels(self):
        return self.past[-1][0]

    def note(self, name, labels, states, erased):
        states = {i: s for i, s in states.items() if s != UNTOUCHED}
        self.past.append((labels, states, erased))
        self.names.append(name)
        self.future.clear()
        self.ever |= set(labels.ravel().tolist())

    def note_edit(self, name, labels, given=()):
        before, states, erased = self.past[-1]
        changed = before != labels
        if not changed.any():
            return
        states = dict(states)
        for i in set(before[changed].tolist()) | set(labels[changed].tolist()):
            states[i] = states.get(i, UNTOUCHED).edited()
        states |= dict(given)
        there = set(labels.ravel().tolist()) - {0}
        states = {i: s for i, s in states.items() if i in there}
        erased = (erased | (changed & (labels == 0))) & ~(changed & (labels > 0))
        self.note(name, labels, states, erased)

    def content(self, rng, shape):
        """Return some labels: old ones, a new one, and background."""
        known = [*np.unique(self.labels).tolist(), 0]
        if rng.random() < 0.5:
            new = self.document.new_id()
            assert new not in self.ever, "numbers are never given twice"
            self.ever.add(new)
            known.append(new)
        if rng.random() < 0.5:
            return np.full(shape, rng.choice(known), np.int32)
        return rng.choice(known, shape).astype(np.int32)

    # What may happen

    @rule(seed=seeds)
    def look(self, seed):
        rng = np.random.default_rng(seed)
        self.document.objects(tuple(int(rng.integers(n)) for n in self.labels.shape[:-2]))

    @rule(seed=seeds, parts=st.integers(1, 3), given=st.none() | objects)
    def edit(self, seed, parts, given):
        rng = np.random.default_rng(seed)
        index = tuple(int(rng.integers(n)) for n in self.labels.shape[:-2])
        after, edits = self.labels.copy(), []
        columns = np.sort(rng.choice(after.shape[-1] + 1, 2 * min(parts, 2), replace=False))
        for left, right in columns.reshape(-1, 2).tolist()[::-1]:
            top = int(rng.integers(after.shape[-2]))
            bottom = int(rng.integers(top + 1, after.shape[-2] + 1))
            where = (slice(top, bottom), slice(left, right))
            labels = self.content(rng, (bottom - top, right - left))
            edits.append(Edit(where, labels))
            after[index][where] = labels
        touched = np.unique(after[after != self.labels]).tolist()
        states = {touched[-1]: given} if given is not None and touched and touched[-1] else {}
        self.document.edit("Draw", index, edits, states)
        self.note_edit("Draw", after, states)

    @rule(seed=seeds, share=st.floats(0, 0.6))
    def paint(self, seed, share):
        rng = np.random.default_rng(seed)
        mask = rng.random(self.labels.shape) < share
        after = np.where(mask, self.content(rng, self.labels.shape), self.labels)
        pixels = Delta.between(self.document.labels, after)
        pixels.write(self.document.labels)
        self.document.record("Paint", pixels)
        self.note_edit("Paint", after)

    @rule(seed=seeds)
    def adopt(self, seed):
        after = self.content(np.random.default_rng(seed), self.labels.shape)
        pixels = Delta.between(self.document.labels, after)
        self.document.adopt("Filter", self.order(after), pixels)
        self.note_edit("Filter", after)

    @rule(seed=seeds, state=objects)
    def decide(self, seed, state):
        there = np.unique(self.labels[self.labels > 0])
        chosen = np.random.default_rng(seed).permutation(there)[:2].tolist()
        labels, states, erased = self.past[-1]
        if self.document.decide("Decide", dict.fromkeys(chosen, state)) is not None:
            self.note("Decide", labels, states | dict.fromkeys(chosen, state), erased)

    @rule(seed=seeds, name=st.sampled_from(["Area", "Run"]), together=st.booleans())
    def predict(self, seed, name, together):
        rng, (before, states, erased) = np.random.default_rng(seed), self.past[-1]
        predicted = np.zeros_like(before)
        for k in range(1, int(rng.integers(1, 6))):
            start = [int(rng.integers(n)) for n in before.shape]
            predicted[tuple(slice(i, i + 3) for i in start)] = k
        decided = self.document.decided()
        np.testing.assert_array_equal(decided.labels, before)
        labels = decided.locks().flow_around(predicted)
        labels = keep_numbers(decided.labels, labels, decided.locked, decided.highest)
        self.check_prediction(labels)
        pixels = Delta.between(decided.labels, labels)
        shown = self.order(labels)
        self.document.replace(name, shown, labels, pixels, (seed, name), together)
        there = set(labels.ravel().tolist())
        states = {i: s for i, s in states.items() if i in there or i not in before}
        if together and not self.future and self.names[-1:] == [name]:
            self.past.pop()
            self.names.pop()
        self.note(name, labels, states, erased)

    def check_prediction(self, labels):
        before, states, erased = self.past[-1]
        for i, state in states.items():
            if state.locked:
                np.testing.assert_array_equal(labels == i, before == i)
        assert not labels[erased].any()
        new = set(labels.ravel().tolist()) - set(before.ravel().tolist())
        assert not new & self.ever - {0}, "numbers are never given twice"

    @rule()
    def renumber(self):
        before, states, erased = self.past[-1]
        first = np.unique(before[before > 0], return_index=True)
        names = {int(old): k for k, old in enumerate(first[0][np.argsort(first[1])], 1)} | {0: 0}
        labels = np.vectorize(names.get)(before).astype(np.int32)
        found = renumbered(self.document.decided().labels, self.document.version)
        if self.document.renumber(found) is not None:
            kept = {names[i]: s for i, s in states.items() if i in names}
            self.note("Renumber", labels, kept, erased)

    @precondition(lambda self: self.names)
    @rule()
    def undo(self):
        assert self.document.undo() is not None
        self.future.append((self.past.pop(), self.names.pop()))

    @precondition(lambda self: self.future)
    @rule()
    def redo(self):
        assert self.document.redo() is not None
        present, name = self.future.pop()
        self.past.append(present)
        self.names.append(name)

    @precondition(lambda self: len(self.names) > 4)
    @rule()
    def back_and_forth(self):
        steps = len(self.names)
        for _ in range(steps):
            self.undo()
            self.same()
        assert self.document.undo() is None
        for _ in range(steps):
            self.redo()
            self.same()

    # What is always true

    @invariant()
    def same(self):
        labels, states, erased = self.past[-1]
        document = self.document
        np.testing.assert_array_equal(document.labels, labels)
        np.testing.assert_array_equal(self.echo, labels, "the steps tell all that changed")
        assert {i: document.states[i] for i in document.states} == states
        np.testing.assert_array_equal(document.erased, np.flatnonzero(erased))
        assert not labels[erased].any()
        assert len(document.history) == len(self.names)
        assert document.history.undo_name == (self.names[-1] if self.names else "")
        assert document.history.redo_name == (self.future[-1][1] if self.future else "")

    @invariant()
    def indexes_are_those_of_the_labels(self):
        for index in list(self.document._planes._indexes):
            kept, fresh = self.document.objects(index), ObjectIndex(self.labels[index])
            assert kept.ids.tolist() == fresh.ids.tolist()
            assert all(kept.box(i) == fresh.box(i) for i in fresh.ids.tolist())


TestCorrections = Corrections.TestCase
TestCorrections.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)
