"""What the review queue holds: decisions about objects, which are shown, how far it has come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from napari_cellseg.session.corrections.states import ObjectState


class Review(StrEnum):
    """What a person decided about an object."""

    OPEN = "open"
    ACCEPTED = "accepted"
    SKIPPED = "skipped"
    EDITED = "edited"
    DELETED = "deleted"


_DECIDED = {"accepted": Review.ACCEPTED, "edited": Review.EDITED, "skipped": Review.SKIPPED}
DONE = frozenset({Review.ACCEPTED, Review.EDITED, Review.DELETED})


@dataclass
class Entry:
    """One object of the queue.

    Attributes
    ----------
    risk, reason, area
        As rated; area in pixels.
    state
        What was decided.
    seconds
        Active time that it took.
    """

    risk: float = 0.0
    reason: str = ""
    area: float = math.nan
    state: Review = Review.OPEN
    seconds: float = 0.0


def review_of(state: ObjectState) -> Review:
    """Return what the state of an object that is there means in a review."""
    return _DECIDED.get(state.decision, Review.OPEN)


def without_object(entry: Entry | None) -> Review | None:
    """Return what becomes of the entry of an object that is gone; None: it is forgotten.

    That is so for one that came only after the rating, as by a tool whose step was undone.
    """
    return None if entry is None or math.isnan(entry.area) else Review.DELETED


@dataclass(frozen=True)
class QueueFilter:
    """Which objects the queue shows; those it does not show keep their state.

    Attributes
    ----------
    min_area, max_area
        Pixels, both included.
    classes
        Names of classes; empty for all. The name "" stands for objects without a class.
    """

    min_area: float = 0.0
    max_area: float = math.inf
    classes: frozenset[str] = frozenset()

    def shows(self, area: float, name: str) -> bool:
        """Return whether an object of this size and class is shown."""
        if self.classes and name not in self.classes:
            return False
        return math.isnan(area) or self.min_area <= area <= self.max_area


@dataclass(frozen=True)
class QueueProgress:
    """How far the review has come, over all objects whatever the filter.

    Attributes
    ----------
    done, total, skipped
        Objects; done are the accepted, edited and deleted ones, skipped are not among them.
    elapsed
        Active seconds so far.
    remaining
        Estimated active seconds for what is not done; None until something is.
    """

    done: int
    total: int
    skipped: int
    elapsed: float
    remaining: float | None
