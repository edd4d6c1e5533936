"""The steps that led to the present labels, in their order, to go back and forth."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_cellseg.session.corrections.delta import Delta, Positions
from napari_cellseg.session.corrections.states import StateChange, joined

LIMIT = 200
"""Steps that can be taken back, memory permitting."""
MEMORY = 2**29
"""Bytes that the steps may take together; the oldest go first, but never the last hundred."""
_ALWAYS = 100


def no_positions() -> Positions:
    """Return the positions of no pixel."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Step:
    """One thing that happened to the labels.

    Attributes
    ----------
    name
        What it was, for the person who may want it back.
    pixels
        What changed in the labels.
    states
        What changed about the objects.
    freed, claimed
        Positions that from now on are background for good, and that no longer are.
    facts
        Whatever else belongs to the labels, such as the settings that they were made with,
        before and after; None where a step leaves it alone.
    """

    name: str
    pixels: Delta = field(default_factory=Delta.none)
    states: StateChange = field(default_factory=dict)
    freed: Positions = field(default_factory=no_positions)
    claimed: Positions = field(default_factory=no_positions)
    facts: tuple[Any, Any] | None = None

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(self.pixels or self.states or self.freed.size or self.claimed.size) or (
            self.facts is not None
        )

    @property
    def nbytes(self) -> int:
        """Memory that it takes, without its facts."""
        return self.pixels.nbytes + self.freed.nbytes + self.claimed.nbytes + len(self.states) * 100

    @property
    def reversed(self) -> Step:
        """What takes this step back."""
        return Step(
            self.name,
            self.pixels.reversed,
            {label: (after, before) for label, (before, after) in self.states.items()},
            self.claimed,
            self.freed,
            None if self.facts is None else self.facts[::-1],
        )

    def leads_to(self, later: Step) -> bool:
        """Whether `then` may make one of both."""
        marked = (self.freed, self.claimed, later.freed, later.claimed)
        return self.name == later.name and not any(part.size for part in marked)

    def then(self, later: Step) -> Step:
        """Return both steps as one of this one's name; neither frees nor claims positions."""
        facts = self.facts if later.facts is None else later.facts
        if self.facts is not None and later.facts is not None:
            facts = (self.facts[0], later.facts[1])
        pixels, states = self.pixels.then(later.pixels), joined(self.states, later.states)
        return Step(self.name, pixels, states, facts=facts)


class History:
    """Done steps and undone ones; a new step forgets those that were undone."""

    def __init__(self, limit: int = LIMIT, memory: int = MEMORY) -> None:
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._limit, self._memory = limit, memory

    @property
    def undo_name(self) -> str:
        """Name of the step that `undo` would give, empty if there is none."""
        return self._done[-1].name if self._done else ""

    @property
    def redo_name(self) -> str:
        """Name of the step that `redo` would give, empty if there is none."""
        return self._undone[-1].name if self._undone else ""

    @property
    def done(self) -> tuple[Step, ...]:
        """The steps that `undo` can take back, the oldest first."""
        return tuple(self._done)

    def __len__(self) -> int:
        return len(self._done)

    def add(self, step: Step, together: bool = False) -> None:
        """Note a step that was done.

        It continues the last one if it is to be taken back `together` with that, bears its name,
        and neither frees nor claims positions; both are gone if nothing is left of them.
        """
        if together and not self._undone and self._done and self._done[-1].leads_to(step):
            step = self._done.pop().then(step)
        self._undone.clear()
        if step:
            self._done.append(step)
        while len(self._done) > self._limit or (
            len(self._done) > _ALWAYS and sum(s.nbytes for s in self._done) > self._memory
        ):
            self._done.popleft()

    def undo(self) -> Step | None:
        """Return the last done step, which is undone from now on; None if there is none."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step | None:
        """Return the last undone step, which is done from now on; None if there is none."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]
