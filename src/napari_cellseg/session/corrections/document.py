"""One labels array under correction: every change goes through here and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from psygnal import Signal

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.errors import EditError
from napari_cellseg.session.corrections.ahead import Ahead, Before, edit_step, pixels_of
from napari_cellseg.session.corrections.decided import BoolArray, Decided
from napari_cellseg.session.corrections.delta import Delta, Index, Int32Array, Positions
from napari_cellseg.session.corrections.erased import Erased
from napari_cellseg.session.corrections.history import History, Step
from napari_cellseg.session.corrections.numbering import Renumbered
from napari_cellseg.session.corrections.pixels import Pixels
from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState, States


class Document(Pixels):
    """Labels, what was decided about their objects, and the history of both.

    An object whose pixels a person changed is locked from then on, and pixels that a person
    erased stay background, until either is undone or unlocked. Numbers are never given twice.

    Signals
    -------
    stepped(Step)
        A step was done, or the reverse of one was, by `undo`.
    area_set(BoolArray | None)
        The reviewed area was marked anew.

    Parameters
    ----------
    labels
        int32 (T?, Z?, Y, X), a view in any order; changed in place.
    write
        What writes a change into `labels`, where a viewer must learn of it; by default it is
        written here.
    states
        What was decided before.
    erased
        Positions that a person erased before.
    reviewed
        Where a person said before that everything is right, as for `set_reviewed`.
    """

    stepped = Signal(object)
    area_set = Signal(object)

    def __init__(
        self,
        labels: Int32Array,
        write: Callable[[Delta], None] | None = None,
        states: States | None = None,
        erased: Positions | None = None,
        reviewed: BoolArray | None = None,
    ) -> None:
        super().__init__(labels, write)
        self.states = states if states is not None else States()
        self.history = History()
        self.version = 0
        self.handled = bool(self.states) or bool(erased is not None and erased.size)
        self.handled |= reviewed is not None
        self._highest = max(self._highest, *self.states, 0)
        self._erased = Erased(labels.shape, erased)
        self._reviewed = reviewed

    @property
    def erased(self) -> Positions:
        """Positions that a person erased, ascending."""
        return self._erased.positions

    def decided(self) -> Decided:
        """Return all that a prediction must leave alone, as it is now, for a worker to keep."""
        frozen, erased = self._freezer.frozen(self.labels, self.version), self._erased.copy()
        return Decided(
            frozen, self.states.locked, erased, self._highest, self.handled, self._reviewed
        )

    def before(self) -> Before:
        """Return all that a worker needs to work out a step."""
        states = States({label: self.states[label] for label in self.states})
        return Before(self.version, self.decided(), states, self._planes.known)

    @property
    def reviewed(self) -> BoolArray | None:
        """Where a person said that everything is right, not to be written to; None if nowhere."""
        return self._reviewed

    def set_reviewed(self, area: BoolArray | None) -> None:
        """Keep all that lies in `area`, of the labels' shape, as it is; it is not copied.

        No step of the history: the area has one of its own.
        """
        self._reviewed = area
        self.handled = self.handled or area is not None
        self.version += 1
        self.area_set.emit(area)

    def edit(
        self,
        name: str,
        index: Index,
        edits: Iterable[Edit],
        states: Mapping[int, ObjectState] | None = None,
    ) -> Step | None:
        """Change one plane; the objects that gain or lose pixels are locked.

        Parameters
        ----------
        name
            What is done, as the history tells it.
        index
            Which plane.
        edits
            Regions of it, which do not overlap, and what they hold afterwards.
        states
            What is decided by it about objects, where that is not just "edited".
        """
        return self.change(name, pixels_of(self.labels, index, edits), states)

    def change(
        self, name: str, pixels: Delta, states: Mapping[int, ObjectState] | None = None
    ) -> Step | None:
        """Change pixels on any planes; otherwise as `edit`."""
        self._change(pixels)
        return self._note_edit(name, pixels, states or {})

    def record(
        self, name: str, pixels: Delta, states: Mapping[int, ObjectState] | None = None
    ) -> Step | None:
        """Note pixels that a person changed by other means and that are there already."""
        self._freezer.note(pixels)
        self._follow(pixels)
        return self._note_edit(name, pixels, states or {})

    def decide(self, name: str, states: Mapping[int, ObjectState]) -> Step | None:
        """Change what is decided about objects; their pixels stay."""
        change = self.states.change(states)
        if not change:
            return None
        self.handled = True
        return self._do(Step(name, states=change))

    def replace(
        self,
        name: str,
        shown: Int32Array,
        frozen: Int32Array,
        pixels: Delta,
        facts: tuple[Any, Any] | None = None,
        together: bool = False,
    ) -> Step | None:
        """Note that other objects were predicted, as steps of the same slider `together`.

        Parameters
        ----------
        shown, frozen
            The new labels, to be changed in place from now on, and equal ones to be kept as they
            are.
        pixels, facts
            What changed, see `Step`.
        together
            Whether it continues the last step of that name.
        """
        self._take(shown, pixels)
        lost = set(self.states) & set(pixels.ids)
        lost -= self._planes.there(shown, lost) if lost else set()
        change = self.states.change(dict.fromkeys(lost, UNTOUCHED))
        step = Step(name, pixels, change, facts=facts)
        self._freezer.know(frozen, self.version + bool(step))  # before others hear of it
        return self._do(step, together)

    def adopt(self, name: str, labels: Int32Array, pixels: Delta) -> Step | None:
        """Note that a person, or a tool at their command, put `labels` in place of the present."""
        self._take(labels, pixels)
        return self._note_edit(name, pixels, {})

    def renumber(self, new: Renumbered, name: str = "Renumber") -> Step | None:
        """Give the objects the numbers 1 to n, as `renumbered` found them; nothing else changes.

        Raises
        ------
        EditError
            If the labels have changed since.
        """
        if new.version != self.version:
            raise EditError("The labels changed meanwhile: renumber them again.")
        states = dict.fromkeys(self.states, UNTOUCHED)
        states |= {new.ids[old]: self.states[old] for old in self.states if old in new.ids}
        self._change(new.pixels)
        self.handled |= bool(new.pixels)
        return self._do(Step(name, new.pixels, self.states.change(states)))

    def start_again(self, labels: Int32Array) -> None:
        """Take up labels of another shape: nothing that was known holds any more."""
        self._begin(labels)
        self.states, self.history, self.handled = States(), History(), False
        self._erased, self._reviewed = Erased(labels.shape), None
        self.version += 1
        self.stepped.emit(Step("Other labels"))

    def undo(self) -> Step | None:
        """Take the last step back; return its reverse, or None if there is none."""
        step = self.history.undo()
        return None if step is None else self._play(step.reversed)

    def redo(self) -> Step | None:
        """Do the last undone step again; None if there is none."""
        step = self.history.redo()
        return None if step is None else self._play(step)

    def arrive(self, ahead: Ahead, shown: Int32Array) -> Step | None:
        """Put a step in place that a worker has worked out; `shown` are its labels, as `replace`'s.

        Returns
        -------
        None if nothing changes.

        Raises
        ------
        EditError
            If the labels have changed since.
        """
        if ahead.version != self.version:
            raise EditError("The labels changed meanwhile: do it again.")
        if not ahead.step:
            return None
        if ahead.way == "do":
            self.handled = True
            self.history.add(ahead.step)
        elif ahead.way == "undo":
            self.history.undo()
        else:
            self.history.redo()
        self._take(shown, ahead.step.pixels, ahead.objects)
        return self._note(ahead.step, ahead.erased)

    def _note_edit(
        self, name: str, pixels: Delta, states: Mapping[int, ObjectState]
    ) -> Step | None:
        if not pixels:
            return None
        self.handled = True
        there = partial(self._planes.there, self.labels)
        return self._do(edit_step(name, pixels, self.states, there, self._erased, states))

    def _do(self, step: Step, together: bool = False) -> Step | None:
        if not step:
            return None
        self.history.add(step, together)
        return self._note(step)

    def _play(self, step: Step) -> Step:
        self._change(step.pixels)
        return self._note(step)

    def _note(self, step: Step, erased: Erased | None = None) -> Step:
        """Follow a step whose pixels are there; `erased` is what it leads to, if that is known."""
        self.states.make(step.states)
        if erased is None:
            self._erased.mark(step.freed, step.claimed)
        else:
            self._erased = erased
        self.version += 1
        self.stepped.emit(step)
        return step
