"""The queue of a batch: what waits, runs, is done or failed, and how long it will take."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the dock looks at queues before it has loaded what reads files
    from napari_cellseg.core.batch.inputs import BatchInput

CANCELLED = "Cancelled."
FINISHED_BEFORE = "Finished before."


class State(StrEnum):
    """What has become of an image."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Item:
    """One image of the queue.

    Attributes
    ----------
    number
        Its place in the queue, from 0.
    input
        The image.
    state
        What has become of it.
    note
        Why it failed or was skipped, one sentence; else "".
    objects, seconds
        Objects found, and how long it took; None as long as that is not known.
    share
        How much of it the network has seen while it runs, 0 to 1.
    """

    number: int
    input: BatchInput
    state: State = State.WAITING
    note: str = ""
    objects: int | None = None
    seconds: float | None = None
    share: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in (State.WAITING, State.RUNNING)


class Queue:
    """The images of a batch; may be looked at, and cancelled, from any thread."""

    def __init__(self, inputs: Iterable[BatchInput]) -> None:
        self._items = [Item(number, one) for number, one in enumerate(inputs)]
        self._cancelled: dict[int, str] = {}
        self._lock = threading.RLock()
        self._weights = [max(item.input.bytes(), 1) for item in self._items]
        self._shares: dict[int, float] = {}
        self._left = sum(self._weights)
        self._computed = 0
        self._settled = 0
        self._started: float | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Item, ...]:
        """The images as they are now."""
        with self._lock:
            return tuple(self._items)

    def counts(self) -> dict[State, int]:
        """Return how many images are in each state."""
        found = Counter(item.state for item in self.items)
        return {state: found[state] for state in State}

    @property
    def settled(self) -> int:
        """How many images are done, skipped or failed."""
        return self._settled

    def seconds_left(self) -> float | None:
        """Return how long the rest will take, by the size of its files; None if nobody knows yet.

        Images that were skipped took no time and tell nothing.
        """
        with self._lock:
            seen = sum(self._weights[number] * share for number, share in self._shares.items())
            computed = self._computed + seen
            if self._started is None or not computed:
                return None
            return (time.monotonic() - self._started) * (self._left - seen) / computed

    def cancel(self, number: int, reason: str = CANCELLED) -> None:
        """Skip an image; one that is running stops soon, one that is settled stays as it is."""
        with self._lock:
            state = self._items[number].state
            if state == State.WAITING:
                self.settle(number, State.SKIPPED, reason)
            elif state == State.RUNNING:
                self._cancelled[number] = reason

    def cancel_all(self) -> None:
        """Skip every image that is not settled."""
        with self._lock:
            for item in self.items:
                self.cancel(item.number)

    # For the workflow

    def waits(self, number: int) -> bool:
        """Tell whether an image is still to be done."""
        with self._lock:
            return self._items[number].state == State.WAITING

    def start(self, number: int) -> bool:
        """Note that an image is being computed; False if it was cancelled."""
        with self._lock:
            if self._items[number].state != State.WAITING:
                return False
            self._started = self._started or time.monotonic()
            self._items[number] = replace(self._items[number], state=State.RUNNING)
            return True

    def report(self, number: int, share: float) -> None:
        """Note how much of an image that is running the network has seen."""
        with self._lock:
            self._shares[number] = share
            self._items[number] = replace(self._items[number], share=share)

    def is_cancelled(self, number: int) -> bool:
        """Tell whether an image that is running is to stop."""
        with self._lock:
            return number in self._cancelled

    def reason(self, number: int) -> str:
        """Return why an image that is running is to stop."""
        with self._lock:
            return self._cancelled.get(number, CANCELLED)

    def settle(
        self,
        number: int,
        state: State,
        note: str = "",
        objects: int | None = None,
        seconds: float | None = None,
    ) -> Item:
        """Note, once, what has become of an image."""
        with self._lock:
            item = replace(
                self._items[number], state=state, note=note, objects=objects, seconds=seconds
            )
            self._items[number] = item
            self._shares.pop(number, None)
            self._settled += 1
            self._left -= self._weights[number]
            if state != State.SKIPPED:
                self._computed += self._weights[number]
            return item
