"""What the command line says: results on standard output, progress and complaints on the other."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Generator
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from napari_cellseg.core.progress import Progress

R = TypeVar("R")

LOG_INTERVAL = 30.0  # seconds between two progress lines where no bar can be drawn
_SHOWN_METRICS = 3


class OutputClosedError(Exception):
    """Nobody reads standard output any more, as behind ``| head``."""


def accept_any_letter() -> None:
    """Write letters that the console does not have as escapes: they must not end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Write a line of the result to standard output.

    Raises
    ------
    OutputClosedError
        If nobody reads it.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        # Python would try to write the rest, and complain, when it ends.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputClosedError from error


def complain(text: str) -> None:
    """Write a line about what happens, or what is wrong, to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def follow(workflow: Generator[Progress, None, R], title: str = "") -> R:
    """Run a workflow to its end, show its progress, and return its result.

    Ctrl-C closes the workflow, so that it cleans up, before it is passed on.

    Parameters
    ----------
    workflow
        Not yet started.
    title
        Put before the name of each stage, such as the file's name.
    """
    with closing(workflow), ProgressDisplay(title) as display:
        while True:
            try:
                display.show(next(workflow))
            except StopIteration as stop:
                result: R = stop.value
                return result


class ProgressDisplay:
    """A bar with the time left on a terminal, now and then a line in a log."""

    def __init__(self, title: str = "") -> None:
        self._title = title
        self._stage = ""
        self._bar: Any = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_bar()

    def show(self, step: Progress) -> None:
        """Show one step; its message, if it has one, stays on the screen."""
        if step.message:
            self._close_bar()
            complain(step.message)
        if sys.stderr.isatty():
            self._draw(step)
        else:
            self._log(step)

    def _draw(self, step: Progress) -> None:
        if self._bar is None or step.stage != self._stage:
            from tqdm import tqdm

            self._close_bar()
            self._stage = step.stage
            self._bar = tqdm(desc=self._label(step), file=sys.stderr, leave=False, miniters=0)
        self._bar.total = step.total or None
        self._bar.n = step.done
        self._bar.set_postfix_str(_metrics(step), refresh=False)
        self._bar.refresh()

    def _log(self, step: Progress) -> None:
        now = time.monotonic()
        if now - self._last_line < LOG_INTERVAL:
            return
        self._last_line = now
        count = f" {step.done}/{step.total}" if step.total else ""
        metrics = _metrics(step)
        complain(f"{self._label(step)}{count}{'; ' + metrics if metrics else ''}")

    def _label(self, step: Progress) -> str:
        return f"{self._title}: {step.stage}" if self._title else step.stage

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _metrics(step: Progress) -> str:
    shown = list(step.metrics.items())[:_SHOWN_METRICS]
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown)
