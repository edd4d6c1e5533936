"""What a training process tells its supervisor: one JSON object a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from napari_cellseg.core.progress import Progress

ORDERS = ("pause", "resume", "preview", "cancel")
"""What the supervisor may say, one word a line; the end of the stream cancels too."""


@dataclass(frozen=True, slots=True)
class Preview(Progress):
    """A step at which the weights of now were saved, to be looked at.

    Attributes
    ----------
    folder
        Bundle of the model as it is now. It may be replaced by a later preview.
    """

    folder: Path = Path()


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProgressEvent(_Event):
    """A step of the workflow; a number that is not finite is null."""

    event: Literal["progress"] = "progress"
    stage: str
    done: int = 0
    total: int = 0
    message: str = ""
    metrics: dict[str, float | None] = Field(default_factory=dict)

    @classmethod
    def of(cls, step: Progress) -> ProgressEvent:
        """Make the event of a step."""
        metrics = {name: _finite(float(value)) for name, value in step.metrics.items()}
        return cls(
            stage=step.stage,
            done=step.done,
            total=step.total,
            message=step.message,
            metrics=metrics,
        )

    def step(self) -> Progress:
        """Return the step that the event was made of."""
        metrics = {n: math.nan if value is None else value for n, value in self.metrics.items()}
        return Progress(self.stage, self.done, self.total, self.message, metrics)


class PausedEvent(_Event):
    """The process waits."""

    event: Literal["paused"] = "paused"


class ResumedEvent(_Event):
    """The process goes on."""

    event: Literal["resumed"] = "resumed"


class PreviewEvent(_Event):
    """The weights of now were saved in a folder."""

    event: Literal["preview"] = "preview"
    folder: Path


class FinishedEvent(_Event):
    """The model is ready in a folder, and was judged."""

    event: Literal["finished"] = "finished"
    folder: Path
    accepted: bool
    reason: str


class CancelledEvent(_Event):
    """The process stopped as asked, and saved a checkpoint."""

    event: Literal["cancelled"] = "cancelled"


class FailedEvent(_Event):
    """The process cannot go on; the message is for the user."""

    event: Literal["failed"] = "failed"
    message: str


LastEvent = FinishedEvent | CancelledEvent | FailedEvent
Event = ProgressEvent | PausedEvent | ResumedEvent | PreviewEvent | LastEvent

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def to_line(event: Event) -> bytes:
    """Return the line of an event, with its line feed."""
    return event.model_dump_json().encode() + b"\n"


def from_line(line: bytes) -> Event | None:
    """Return the event of a line, None if it is none, such as what a library prints."""
    try:
        return _EVENTS.validate_json(line)
    except ValidationError:
        return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
