"""A step that changes much: worked out by a worker, then put in place at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.session.corrections.decided import Decided
from napari_cellseg.session.corrections.delta import Delta, Index, Int32Array, in_box
from napari_cellseg.session.corrections.erased import Erased
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState, States

LARGE = 500_000
"""Changed pixels from which on a step takes longer than the window may stand still."""

Way = Literal["do", "undo", "redo"]
EditsOf = Callable[[Int32Array, ObjectIndex], Iterable[Edit]]
_MOST_NUMBERS = 2**27


@dataclass(frozen=True, eq=False)
class Before:
    """A document at one moment, for a worker.

    Attributes
    ----------
    version
        Of the document.
    decided
        Its labels, and a mask of what was erased that is the worker's.
    states
        What was decided about objects.
    known
        Planes whose objects are looked up often.
    """

    version: int
    decided: Decided
    states: States
    known: tuple[Index, ...]


@dataclass(frozen=True, eq=False)
class Ahead:
    """What a step leads to.

    Attributes
    ----------
    version
        The version of the document that it starts from.
    way, step
        What is done, or what is taken back or done again.
    labels
        int32 (T?, Z?, Y, X) afterwards, to be changed in place from then on.
    erased, objects
        What is erased, and where objects lie on the planes that are known.
    """

    version: int
    way: Way
    step: Step
    labels: Int32Array
    erased: Erased
    objects: Mapping[Index, ObjectIndex]


def pixels_of(labels: Int32Array, index: Index, edits: Iterable[Edit]) -> Delta:
    """Return what edits, which do not overlap, change in a plane of `labels`."""
    shape, plane = labels.shape, labels[index]
    return Delta.joined(
        [in_box(shape, index, one.box, plane[one.box], one.labels) for one in edits]
    )


def edit_step(
    name: str,
    pixels: Delta,
    states: States,
    there: Callable[[Iterable[int]], set[int]],
    erased: Erased,
    given: Mapping[int, ObjectState] | None = None,
) -> Step:
    """Return the step that a person's change of pixels makes: what it touches is locked.

    Parameters
    ----------
    name
        What is done.
    pixels
        What changes.
    states, erased
        What was decided and erased before.
    there
        Tells which of some objects there are afterwards.
    given
        What is decided by it about objects, where that is not just "edited".
    """
    new = {label: states[label].edited() for label in pixels.ids} | dict(given or {})
    gone = set(pixels.ids) - there(pixels.ids)
    change = states.change(new | dict.fromkeys(gone, UNTOUCHED))
    return Step(name, pixels, change, *erased.effect(pixels))


def edited(before: Before, name_of: Callable[[int], str], index: Index, edits_of: EditsOf) -> Ahead:
    """Work out an edit of one plane (in a worker); the step changes nothing if nothing is to be.

    `name_of` is given the number of objects that gain or lose pixels.

    Raises
    ------
    EditError
        As of `edits_of`, which is given the plane and where its objects lie.
    """
    labels = before.decided.labels
    plane = labels[index]
    pixels = pixels_of(labels, index, edits_of(plane, ObjectIndex(plane)))
    after, erased = _changed(before, pixels), _erased(before)
    name = name_of(len(pixels.ids))
    step = Step(name)
    if pixels:
        step = edit_step(name, pixels, before.states, lambda ids: _there(after, ids), erased)
    return _arrived(before, "do", step, after, erased)


def turned(before: Before, way: Way, step: Step) -> Ahead:
    """Work out what a step leads to that is taken back or done again (in a worker)."""
    return _arrived(before, way, step, _changed(before, step.pixels), _erased(before))


def _arrived(before: Before, way: Way, step: Step, labels: Int32Array, erased: Erased) -> Ahead:
    step.pixels.ids  # noqa: B018 - found here, and known from then on
    erased.mark(step.freed, step.claimed)
    objects = {index: ObjectIndex(labels[index]) for index in before.known}
    return Ahead(before.version, way, step, labels, erased, objects)


def _changed(before: Before, pixels: Delta) -> Int32Array:
    labels = before.decided.labels.copy()
    pixels.write(labels)
    return labels


def _erased(before: Before) -> Erased:
    return Erased.of(before.decided.labels.shape, before.decided.erased)


def _there(labels: Int32Array, ids: Iterable[int]) -> set[int]:
    """Return those of some objects that `labels` hold."""
    wanted: Any = np.fromiter(ids, np.int64)
    if not wanted.size:
        return set()
    if int(wanted.max()) > _MOST_NUMBERS:  # too many for a table of them
        return set(np.unique(labels[np.isin(labels, wanted)]).tolist())
    present = np.zeros(max(int(labels.max(initial=0)), int(wanted.max())) + 1, bool)
    present[labels.reshape(-1)] = True
    return set(wanted[present[wanted]].tolist())
