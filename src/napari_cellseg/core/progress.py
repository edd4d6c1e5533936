"""What a long job tells while it runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a workflow.

    Attributes
    ----------
    stage
        Short present participle shown to the user, such as ``"Predicting"``.
    done, total
        Finished and expected units of this stage; ``total`` 0 means unknown.
    message
        One sentence that the user should see (for example that the batch was halved), or "".
    metrics
        Numbers for a plot or a log, by name.
    """

    stage: str
    done: int = 0
    total: int = 0
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


def finish(workflow: Generator[Progress, None, R]) -> R:
    """Run a workflow to its end and return its result (for scripts and tests)."""
    while True:
        try:
            next(workflow)
        except StopIteration as stop:
            result: R = stop.value
            return result
