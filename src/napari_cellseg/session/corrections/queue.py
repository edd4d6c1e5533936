"""Which object to look at next, what was decided about each, and how long the rest will take.

The queue goes from the highest risk to the lowest. It holds no labels and draws nothing; its state
fits into a few columns of the labels layer's features, from which it is resumed.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping

from napari_cellseg.core.review.risk import RiskTable
from napari_cellseg.session.corrections.review import (
    DONE,
    Entry,
    QueueFilter,
    QueueProgress,
    Review,
)

LONGEST_LOOK = 60.0
"""Seconds without any action after which a person is taken to be away."""

States = dict[int, Review | None]
"""Decisions by object; None for an object that the queue does not know."""


class ReviewQueue:
    """Objects of one labels array in the order in which to look at them.

    Parameters
    ----------
    entries
        What is known of each object, to resume.
    clock
        Gives seconds.

    Attributes
    ----------
    current
        The object that is looked at, or None.
    filter
        Which objects are shown; the others keep their state.
    """

    def __init__(
        self,
        entries: Mapping[int, Entry] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.current: int | None = None
        self.filter = QueueFilter()
        self._entries = dict(entries or {})
        self._classes: Mapping[int, str] = {}
        self._clock = clock
        self._last: float | None = None
        self._sort()

    @property
    def entries(self) -> Mapping[int, Entry]:
        """All objects that the queue knows, the deleted ones too; not to be changed."""
        return self._entries

    def state(self, label: int) -> Review | None:
        """Return what was decided about an object; None for one that the queue does not know."""
        entry = self._entries.get(label)
        return entry.state if entry else None

    @property
    def shown(self) -> list[int]:
        """Objects that pass the filter and were not deleted, the highest risk first."""
        return [label for _, label in self._order if self._is_shown(label)]

    def above(self, label: int) -> list[int]:
        """Return what "accept all above" would accept: open shown objects, safer than `label`.

        They come with the highest risk first, the ones that deserve a look in the preview.
        """
        if label not in self._entries:
            return []
        later = self._order[self._rank(label) + 1 :]
        return [k for _, k in later if self.state(k) is Review.OPEN and self._is_shown(k)]

    @property
    def progress(self) -> QueueProgress:
        """How far the review has come."""
        entries = self._entries.values()
        done = [entry.seconds for entry in entries if entry.state in DONE]
        looked_at = [seconds for seconds in done if seconds > 0]
        rest = len(entries) - len(done)
        remaining = sum(looked_at) / len(looked_at) * rest if looked_at else None
        return QueueProgress(
            done=len(done),
            total=len(entries),
            skipped=sum(entry.state is Review.SKIPPED for entry in entries),
            elapsed=sum(entry.seconds for entry in entries),
            remaining=remaining if rest else 0.0,
        )

    def next(self) -> int | None:
        """Go to the next open object, round the end if need be; then to skipped ones.

        Returns
        -------
        The object that is current now; None if all that are shown are done.
        """
        self.touch()
        found = self._first_after(Review.OPEN)
        self.current = self._first_after(Review.SKIPPED) if found is None else found
        return self.current

    def previous(self) -> int | None:
        """Go back to the object with the next higher risk, whatever was decided about it.

        Returns
        -------
        The object that is current now: at the beginning of the queue it stays.
        """
        self.touch()
        end = len(self._order) if self.current is None else self._rank(self.current)
        for _, label in reversed(self._order[:end]):
            if self._is_shown(label):
                self.current = label
                break
        return self.current

    def go_to(self, label: int | None) -> None:
        """Look at any object that the queue knows, or at none."""
        self.touch()
        self.current = label if label in self._entries else None

    def accept(self) -> int | None:
        """Accept the current object and go on; return the object that is current now."""
        return self._decide(Review.ACCEPTED)

    def skip(self) -> int | None:
        """Leave the current object for later and go on; return the object that is current now."""
        return self._decide(Review.SKIPPED)

    def touch(self) -> None:
        """Count the time since the last action, if the person was not away, to the current one."""
        now = self._clock()
        entry = None if self.current is None else self._entries.get(self.current)
        if entry and self._last is not None:
            passed = now - self._last
            entry.seconds += passed if passed <= LONGEST_LOOK else 0.0
        self._last = now

    def pause(self) -> None:
        """Count the time until now, and none until the next action."""
        self.touch()
        self._last = None

    def mark(self, labels: Iterable[int], state: Review) -> States:
        """Decide about objects; unknown ones (newly drawn) are added, with no risk.

        Returns
        -------
        What had been decided before, for `restore`.
        """
        return self.restore(dict.fromkeys(labels, state))

    def restore(self, states: Mapping[int, Review | None]) -> States:
        """Set decisions object by object, None to forget it; return what they were before."""
        self.touch()
        before: States = {}
        for label, state in states.items():
            before[label] = self.state(label)
            if state is None:
                self._forget(label)
            else:
                self._entry(label).state = state
        return before

    def update(self, risks: RiskTable) -> None:
        """Take over the objects that are there now, with their risks; decisions stay.

        Objects that are new are open, and so are deleted ones that are back. Of those that are
        gone, the open and skipped ones are forgotten (a new prediction has others), the accepted
        and edited ones count as deleted: they are locked, so that a person must have done it.
        """
        before, self._entries = self._entries, {}
        reasons = risks.reasons()
        ids, rated, areas = risks.ids.tolist(), risks.risk.tolist(), risks.area.tolist()
        for label, risk, reason, area in zip(ids, rated, reasons, areas, strict=True):
            old = before.pop(label, None)
            entry = Entry(risk, reason, area)
            if old:
                entry.seconds = old.seconds
                entry.state = Review.OPEN if old.state is Review.DELETED else old.state
            self._entries[label] = entry
        for label, entry in before.items():
            if entry.state in DONE:
                entry.state = Review.DELETED
                self._entries[label] = entry
        self._sort()

    def set_classes(self, classes: Mapping[int, str]) -> None:
        """Take over the class of each object, for the filter."""
        self._classes = classes

    def _decide(self, state: Review) -> int | None:
        if self.current is not None:
            self.mark([self.current], state)
        return self.next()

    def _is_shown(self, label: int) -> bool:
        entry = self._entries[label]
        if entry.state is Review.DELETED:
            return False
        return self.filter.shows(entry.area, self._classes.get(label, ""))

    def _first_after(self, state: Review) -> int | None:
        for label in self._from_current():
            if self._entries[label].state is state and self._is_shown(label):
                return label
        return None

    def _from_current(self) -> Iterator[int]:
        """Yield all objects once, from the one after the current to the current itself."""
        start = 0 if self.current is None else self._rank(self.current) + 1
        for places in (range(start, len(self._order)), range(start)):
            for place in places:
                yield self._order[place][1]

    def _key(self, label: int) -> tuple[float, int]:
        return -self._entries[label].risk, label

    def _rank(self, label: int) -> int:
        return bisect_left(self._order, self._key(label))

    def _entry(self, label: int) -> Entry:
        if label not in self._entries:
            self._entries[label] = Entry()
            insort(self._order, self._key(label))
        return self._entries[label]

    def _forget(self, label: int) -> None:
        if label in self._entries:
            del self._order[self._rank(label)]
            del self._entries[label]
        if self.current == label:
            self.current = None

    def _sort(self) -> None:
        # Deleted objects keep their place, so that the queue goes on from there.
        self._order = sorted(self._key(label) for label in self._entries)
        if self.current not in self._entries:
            self.current = None
