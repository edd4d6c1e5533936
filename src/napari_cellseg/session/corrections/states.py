"""What a person decided about each object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Decision = Literal["", "edited", "accepted", "skipped"]

StateChange = Mapping[int, tuple["ObjectState", "ObjectState"]]
"""By object: its state before and after."""


@dataclass(frozen=True)
class ObjectState:
    """One object.

    Attributes
    ----------
    decision
        What was done with it last: nothing, edited, accepted, or skipped in the review.
    locked
        Whether it stays byte-identical whatever is predicted.
    cell_class
        Class that a person gave it; empty if none.
    """

    decision: Decision = ""
    locked: bool = False
    cell_class: str = ""

    def edited(self) -> ObjectState:
        """Return the state after a person changed the object's pixels."""
        return replace(self, decision="edited", locked=True)

    def classed(self, name: str) -> ObjectState:
        """Return the state after a person gave the object the class `name`.

        It is locked: under other settings the object of that place may be another cell.
        """
        decision: Decision = "accepted" if self.decision == "accepted" else "edited"
        return replace(self, decision=decision, locked=True, cell_class=name)


UNTOUCHED = ObjectState()


class States:
    """The objects about which something was decided; every other one is `UNTOUCHED`."""

    def __init__(self, states: Mapping[int, ObjectState] | None = None) -> None:
        self._states = {i: s for i, s in (states or {}).items() if s != UNTOUCHED}

    def __getitem__(self, label: int) -> ObjectState:
        return self._states.get(label, UNTOUCHED)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._states))

    def __len__(self) -> int:
        return len(self._states)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, States) and self._states == other._states

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def locked(self) -> tuple[int, ...]:
        """Locked objects, ascending."""
        return tuple(i for i in self if self._states[i].locked)

    def where(self, decision: Decision) -> tuple[int, ...]:
        """Return the objects with that decision, ascending."""
        return tuple(i for i in self if self._states[i].decision == decision)

    def change(self, new: Mapping[int, ObjectState]) -> StateChange:
        """Return the change that gives objects the `new` states; it is not made yet."""
        return {i: (self[i], state) for i, state in new.items() if self[i] != state}

    def make(self, change: StateChange, undo: bool = False) -> None:
        """Make a change, or take it back."""
        for label, (before, after) in change.items():
            state = before if undo else after
            if state == UNTOUCHED:
                self._states.pop(label, None)
            else:
                self._states[label] = state

    def to_json(self) -> dict[str, list[Any]]:
        """Return the states as columns that JSON can hold."""
        kept = [(i, self._states[i]) for i in self]
        return {
            "id": [i for i, _ in kept],
            "decision": [s.decision for _, s in kept],
            "locked": [s.locked for _, s in kept],
            "class": [s.cell_class for _, s in kept],
        }

    @classmethod
    def from_json(cls, columns: Mapping[str, Iterable[Any]]) -> States:
        """Return the states that `to_json` wrote."""
        rows = zip(
            columns.get("id", ()),
            columns.get("decision", ()),
            columns.get("locked", ()),
            columns.get("class", ()),
            strict=True,
        )
        return cls({int(i): ObjectState(d, bool(k), str(c)) for i, d, k, c in rows})


def joined(first: StateChange, second: StateChange) -> StateChange:
    """Return two changes, one after the other, as one."""
    both = dict(first)
    for label, (before, after) in second.items():
        both[label] = (both[label][0] if label in both else before, after)
    return {label: pair for label, pair in both.items() if pair[0] != pair[1]}
