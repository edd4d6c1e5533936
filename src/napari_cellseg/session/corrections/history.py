"""The steps that led to the present labels, in their order, to go back and forth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import numpy as np

from napari_cellseg.core.provenance import now
from napari_cellseg.session.corrections.delta import Delta, Positions
from napari_cellseg.session.corrections.states import StateChange, joined

LIMIT = 200
"""Steps that can be taken back, memory permitting."""
MEMORY = 2**29
"""Bytes that the steps may take together; the oldest go first, but never the last hundred."""
MAPS = 2**28
"""Bytes that the maps of earlier runs may take in memory; the oldest are put on disk."""
MAPS_IN_ALL = 2**31
"""Bytes that they may take in memory and on disk; the oldest go, and the steps up to theirs."""
_ALWAYS = 100


class Held(Protocol):
    """What takes most memory of a fact, such as the maps of a run; several facts share it."""

    @property
    def nbytes(self) -> tuple[int, int]:
        """Bytes that it takes in memory, and on disk."""

    def rest(self) -> None:
        """Forget what can be worked out again."""

    def put_away(self) -> None:
        """Move to disk what is in memory."""


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
        before and after; None where a step leaves it alone. A fact with an attribute ``held``
        (`Held`) and ``parts`` (bytes by identity) is counted by them.
    takes_back
        Whether it takes back one that was done.
    when
        ISO time at which it happened.
    """

    name: str
    pixels: Delta = field(default_factory=Delta.none)
    states: StateChange = field(default_factory=dict)
    freed: Positions = field(default_factory=no_positions)
    claimed: Positions = field(default_factory=no_positions)
    facts: tuple[Any, Any] | None = None
    takes_back: bool = False
    when: str = field(default_factory=now)

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
            takes_back=not self.takes_back,
        )

    @cached_property
    def parts(self) -> dict[int, int]:
        """Bytes that its facts take beside what is held, by the identity of each part."""
        found: dict[int, int] = {}
        for fact in self.facts or ():
            found |= getattr(fact, "parts", {})
        return found

    @property
    def held(self) -> tuple[Held, ...]:
        """What its facts hold, the earlier one's first."""
        found = (getattr(fact, "held", None) for fact in self.facts or ())
        return tuple(held for held in found if held is not None)

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

    def __init__(
        self,
        limit: int = LIMIT,
        memory: int = MEMORY,
        maps: tuple[int, int] = (MAPS, MAPS_IN_ALL),
    ) -> None:
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._limit, self._memory, self._maps = limit, memory, maps

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
            len(self._done) > _ALWAYS and self._nbytes() > self._memory
        ):
            self._done.popleft()
        while sum(sum(held.nbytes) for held in self._earlier()) > self._maps[1]:
            self.forget(self._earlier()[0])

    def surplus(self) -> list[Held]:
        """Return what is to be put on disk, the oldest first; that may be done in any thread.

        All that steps hold of other runs than the present one rests from now on.
        """
        earlier = self._earlier()
        for held in earlier:
            held.rest()
        taken = [held.nbytes[0] for held in earlier]
        found = []
        while sum(taken) > self._maps[0]:
            if taken.pop(0):
                found.append(earlier[len(earlier) - len(taken) - 1])
        return found

    def forget(self, held: Held) -> None:
        """Forget the steps up to the last that needs `held`: neither memory nor disk has room."""
        if any(held is one for step in self._undone for one in step.held):
            self._undone.clear()
        while any(held is one for step in self._done for one in step.held):
            self._done.popleft()

    def _nbytes(self) -> int:
        parts: dict[int, int] = {}
        for step in self._done:
            parts |= step.parts
        return sum(step.nbytes for step in self._done) + sum(parts.values())

    def _earlier(self) -> list[Held]:
        """Return all that steps hold, each once, the oldest first; not that of the present run."""
        present: Held | None = None
        for step in self._done:
            present = step.held[-1] if step.held else present
        found: dict[int, Held] = {}
        for held in self._all_held():
            present = held if present is None else present  # all runs are undone
            found[id(held)] = held
        return [held for held in found.values() if held is not present]

    def _all_held(self) -> Iterator[Held]:
        for step in chain(self._done, reversed(self._undone)):
            yield from step.held

    def next(self, back: bool) -> Step | None:
        """Return what `undo`, with `back`, or `redo` would give; None if there is nothing."""
        steps = self._done if back else self._undone
        return steps[-1] if steps else None

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
