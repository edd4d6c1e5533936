"""Run a workflow for another program: events on one stream, its orders from another."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from napari_cellseg.cli import CANCELLED, FAILURE, SUCCESS
from napari_cellseg.cli.console import complain
from napari_cellseg.core.errors import Cancelled, CellsegError, SettingsError
from napari_cellseg.core.finetuning.events import (
    CancelledEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    Preview,
    PreviewEvent,
    ProgressEvent,
    ResumedEvent,
    to_line,
)
from napari_cellseg.core.finetuning.requests import Requests
from napari_cellseg.core.progress import Progress


class _Verdict(Protocol):
    @property
    def accepted(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class Judged(Protocol):
    """What a workflow returns that makes a model and judges it."""

    @property
    def folder(self) -> Path:
        """Folder of the model."""
        ...

    @property
    def verdict(self) -> _Verdict:
        """Whether it is to be used, and why."""
        ...


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output from all else that runs in this process.

    What a library prints goes to standard error, and one that reads gets nothing. On Windows it
    would even hang: a library that asks what kind of stream standard input is waits until the
    thread that reads from it gets a line.

    Returns
    -------
    Streams of orders and of events, for `drive`.

    Raises
    ------
    SettingsError
        If one of them is closed.
    """
    try:
        orders = os.fdopen(os.dup(0), "rb", buffering=0)
        events = os.fdopen(os.dup(1), "wb", buffering=0)
    except OSError as error:
        raise SettingsError(
            "--json takes orders on standard input and tells events on standard output: leave "
            "both open, or leave --json out."
        ) from error
    if sys.stdout is not None:
        sys.stdout.flush()
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders, events


def drive(
    workflow: Generator[Progress, None, Judged],
    requests: Requests,
    stdin: BinaryIO,
    stdout: BinaryIO,
) -> int:
    """Run a workflow to its end, tell what happens, and do as is ordered.

    Orders are words on lines of their own: ``pause``, ``resume``, ``preview``, ``cancel``; others
    are ignored. ``cancel`` and the end of the stream close the workflow at its next step, so that
    it saves what it has. So does a `stdout` on which nobody listens any more.

    Parameters
    ----------
    workflow
        Not yet started.
    requests
        Those that the workflow looks at.
    stdin
        Unbuffered: a thread reads from it that is still waiting when the process ends.
    stdout
        Unbuffered; gets one JSON object a line, see `napari_cellseg.core.finetuning.events`.

    Returns
    -------
    0 if it is finished, 1 if it failed, 130 if it was cancelled.
    """
    line = _Line(requests, stdout)
    threading.Thread(target=line.obey, args=(stdin,), name="orders", daemon=True).start()
    try:
        with closing(workflow):
            result = _draw(workflow, line)
    except (Cancelled, KeyboardInterrupt):
        line.tell(CancelledEvent())
        return CANCELLED
    except CellsegError as error:
        return line.fail(str(error))
    except MemoryError:
        traceback.print_exc()
        return line.fail(
            "The computer ran out of memory: choose smaller patches or batches, or close other "
            "programs, and resume."
        )
    except Exception as error:  # noqa: BLE001 - whoever listens must be told, whatever it is
        traceback.print_exc()
        return line.fail(
            f"Something went wrong that should not have ({type(error).__name__}: {error}): "
            "report it with the log. Your data and the parent model are untouched."
        )
    verdict = result.verdict
    line.tell(FinishedEvent(folder=result.folder, accepted=verdict.accepted, reason=verdict.reason))
    return SUCCESS


def _draw(workflow: Generator[Progress, None, Judged], line: _Line) -> Judged:
    while True:
        line.wait()
        try:
            step = next(workflow)
        except StopIteration as stop:
            result: Judged = stop.value
            return result
        if isinstance(step, Preview):  # a step that was told before
            line.tell(PreviewEvent(folder=step.folder))
        else:
            line.tell(ProgressEvent.of(step))


class _Line:
    """The connection to the supervisor."""

    def __init__(self, requests: Requests, stdout: BinaryIO) -> None:
        self._requests = requests
        self._stdout = stdout
        self._cancelled = threading.Event()
        self._looks = threading.Event()
        self._paused = False

    def tell(self, event: Event) -> None:
        """Tell an event; where nobody listens any more the workflow is to stop."""
        try:
            line = memoryview(to_line(event))
            while line:
                line = line[self._stdout.write(line) :]
        except (OSError, ValueError):  # the pipe is broken, or closed
            self._cancelled.set()

    def fail(self, message: str) -> int:
        """Tell that it failed, also on standard error, and return the exit status."""
        complain(message)
        self.tell(FailedEvent(message=message))
        return FAILURE

    def obey(self, stdin: BinaryIO) -> None:
        """Do as is ordered until the stream ends; runs in a thread."""
        orders = {
            b"pause": self._requests.pause,
            b"resume": self._requests.go_on,
            b"preview": self._look,
            b"cancel": self._cancel,
        }
        with stdin, suppress(OSError, ValueError):
            for word in stdin:
                order = orders.get(word.strip())
                if order is not None:
                    order()
        self._cancel()

    def _look(self) -> None:
        self._requests.ask_preview()
        self._looks.set()

    def _cancel(self) -> None:
        self._cancelled.set()
        self._requests.go_on()  # also a workflow that itself waits must get to its next step

    def wait(self) -> None:
        """Wait as long as it is paused, but for one step to a preview that is asked for.

        Raises
        ------
        Cancelled
            If it is to stop.
        """
        if self._requests.paused and not self._paused:
            self._paused = True
            self.tell(PausedEvent())
        self._requests.wait_while_paused(lambda: self._cancelled.is_set() or self._looks.is_set())
        self._looks.clear()
        if self._cancelled.is_set():
            raise Cancelled("Cancelled.")
        if self._paused and not self._requests.paused:
            self._paused = False
            self.tell(ResumedEvent())
