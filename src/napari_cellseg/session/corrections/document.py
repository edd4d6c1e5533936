"""One labels array under correction: every change goes through here and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from psygnal import Signal

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError
from napari_cellseg.session.corrections.decided import BoolArray, Decided
from napari_cellseg.session.corrections.delta import Delta, Index, Int32Array, Positions, in_box
from napari_cellseg.session.corrections.erased import Erased
from napari_cellseg.session.corrections.history import History, Step
from napari_cellseg.session.corrections.numbering import HIGHEST_ID, Renumbered
from napari_cellseg.session.corrections.planes import PlaneIndexes
from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState, States


class Document:
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
        self.labels = labels
        self.states = states if states is not None else States()
        self.history = History()
        self.version = 0
        self.handled = bool(self.states) or bool(erased is not None and erased.size)
        self.handled |= reviewed is not None
        self._write = write or (lambda pixels: pixels.write(self.labels))
        self._planes = PlaneIndexes()
        self._highest: int = max(int(labels.max(initial=0)), *self.states, 0)
        self._erased = Erased(labels.shape, erased)
        self._reviewed = reviewed
        self._frozen = (-1, labels)  # a version, and a copy of its labels

    def plane(self, index: Index) -> Int32Array:
        """Return one plane (Y, X), not to be written to."""
        view: Int32Array = self.labels[index].view()
        view.flags.writeable = False
        return view

    def objects(self, index: Index) -> ObjectIndex:
        """Return where the objects of one plane lie."""
        return self._planes.of(self.labels, index)

    def there(self, ids: Iterable[int]) -> set[int]:
        """Return those of the objects `ids` that there are, on whatever plane."""
        return self._planes.there(self.labels, ids)

    def new_id(self) -> int:
        """Return a number that no object has or had; EditError if there is none left."""
        if self._highest >= HIGHEST_ID:  # as it was used, or before a renumbering
            self._highest = int(self.labels.max(initial=0))
        if self._highest >= HIGHEST_ID:
            raise EditError("No object numbers are left: renumber the objects first.")
        self._highest += 1
        return self._highest

    @property
    def erased(self) -> Positions:
        """Positions that a person erased, ascending."""
        return self._erased.positions

    def decided(self) -> Decided:
        """Return a copy of all that a prediction must leave alone, for a worker to keep."""
        version, frozen = self._frozen
        if version != self.version:
            frozen = np.array(self.labels, dtype=np.int32, order="C")
            frozen.flags.writeable = False
            self._frozen = (self.version, frozen)
        erased = self._erased.copy()
        return Decided(
            frozen, self.states.locked, erased, self._highest, self.handled, self._reviewed
        )

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
        shape, plane = self.labels.shape, self.labels[index]
        pixels = Delta.joined(
            [in_box(shape, index, one.box, plane[one.box], one.labels) for one in edits]
        )
        self._change(pixels)
        return self._note_edit(name, pixels, states or {})

    def record(
        self, name: str, pixels: Delta, states: Mapping[int, ObjectState] | None = None
    ) -> Step | None:
        """Note pixels that a person changed by other means and that are there already."""
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
        step = self._do(Step(name, pixels, change, facts=facts), together)
        self._frozen = (self.version, frozen)
        return step

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
        self.labels = labels
        self.states, self.history, self.handled = States(), History(), False
        self._erased, self._planes = Erased(labels.shape), PlaneIndexes()
        self._reviewed = None
        self._highest = int(labels.max(initial=0))
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

    def _note_edit(
        self, name: str, pixels: Delta, states: Mapping[int, ObjectState]
    ) -> Step | None:
        if not pixels:
            return None
        self.handled = True
        new = {label: self.states[label].edited() for label in pixels.ids} | dict(states)
        gone = set(pixels.ids) - self._planes.there(self.labels, pixels.ids)
        change = self.states.change(new | dict.fromkeys(gone, UNTOUCHED))
        return self._do(Step(name, pixels, change, *self._erased.effect(pixels)))

    def _do(self, step: Step, together: bool = False) -> Step | None:
        if not step:
            return None
        self.history.add(step, together)
        return self._note(step)

    def _play(self, step: Step) -> Step:
        self._change(step.pixels)
        return self._note(step)

    def _note(self, step: Step) -> Step:
        self.states.make(step.states)
        self._erased.mark(step.freed, step.claimed)
        self.version += 1
        self.stepped.emit(step)
        return step

    def _change(self, pixels: Delta) -> None:
        if pixels:
            self._write(pixels)
            self._follow(pixels)

    def _follow(self, pixels: Delta) -> None:
        """Learn that the labels changed."""
        self._highest = max(self._highest, int(pixels.after.max(initial=0)))
        self._planes.follow(self.labels, pixels)

    def _take(self, labels: Int32Array, pixels: Delta) -> None:
        """Take other labels of the same shape in place of the present ones."""
        self.labels = labels
        self._highest = max(self._highest, int(pixels.after.max(initial=0)))
        self._planes.replaced(pixels)
