"""A fine-tuning in a process of its own: what it tells, and what it is told."""

from __future__ import annotations

import math
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.core.errors import Cancelled, TrainingError
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
    from_line,
)
from napari_cellseg.core.progress import Progress
from napari_cellseg.session.finetuning import launch
from napari_cellseg.session.finetuning.output import ProcessOutput

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job

BEAT = 0.5  # s after which a step is told again where there is no news
KILL_AFTER = 5.0  # s that a process has to stop after it was cancelled a second time
LEAVE_AFTER = 30.0  # s that it has to save its checkpoint when napari closes, or to end by itself

_KEPT = "The last checkpoint is kept: resume goes on from it."


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    folder
        Bundle of the new model.
    accepted, reason
        Whether it is better than its parent, and why it is or is not.
    """

    folder: Path
    accepted: bool
    reason: str


class TrainingProcess:
    """Runs ``napari-cellseg finetune`` on a job, for a worker thread to follow.

    The process is the child of this one but nothing is shared with it: it can always be ended, and
    gives back all its memory, also that of the GPU. It ends with napari, whatever ends
    napari, and leaves a checkpoint.

    Parameters
    ----------
    job
        Whose folder it trains in.
    device
        As of the workflow.
    resume
        Go on from the last checkpoint.
    """

    def __init__(self, job: Job, device: str = "auto", *, resume: bool = False) -> None:
        self._job = job
        self._device = device
        self._resume = resume
        self._lock = threading.Lock()  # of what follows: orders come from another thread
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[str] = []
        self._cancelled = False
        self._deadline = math.inf

    def pause(self) -> None:
        """Ask to wait before the next batch; a step ``"Paused"`` says when it does."""
        self._order("pause")

    def go_on(self) -> None:
        """Take `pause` back."""
        self._order("resume")

    def preview(self) -> None:
        """Ask for the weights of now; a `Preview` brings them, also in a pause."""
        self._order("preview")

    def cancel(self) -> None:
        """Ask to stop within a batch, with a checkpoint; if asked again, kill it soon.

        The events go on until the process has ended, then raise `Cancelled`.
        """
        with self._lock:
            if self._cancelled:
                self._deadline = min(self._deadline, time.monotonic() + KILL_AFTER)
            self._cancelled = True
        self._order("cancel")

    def events(self) -> Generator[Progress, None, Outcome]:
        """Start the process and follow it to its end; once.

        Closing the generator cancels, and waits until the checkpoint is saved.

        Yields
        ------
        Progress
            The steps of the workflow, ``"Starting"`` before the first and ``"Paused"`` in a
            pause; a `Preview` when one was asked for. At least every `BEAT` seconds: without
            news the last stage again, without numbers.

        Raises
        ------
        Cancelled
            If it was cancelled.
        TrainingError
            If it failed, was killed from outside, or could not be started.
        """
        process = self._start()
        output = ProcessOutput(process)
        try:
            last = yield from self._follow(output)
        finally:
            self._end(process, output)
        if isinstance(last, FinishedEvent):
            return Outcome(last.folder, last.accepted, last.reason)
        if isinstance(last, FailedEvent):
            raise TrainingError(last.message)
        if self._cancelled or isinstance(last, CancelledEvent):
            raise Cancelled(f"Cancelled. {_KEPT}")
        raise TrainingError(_last_words(process.returncode, output.errors))

    def _start(self) -> subprocess.Popen[bytes]:
        line = launch.command(self._job.folder, self._device, self._resume)
        with self._lock:
            if self._cancelled:
                raise Cancelled("Cancelled before it began.")
            self._process = launch.start(line)
        for order in self._waiting:
            self._order(order)
        return self._process

    def _follow(self, output: ProcessOutput) -> Generator[Progress, None, Event | None]:
        stage = step = Progress("Starting")
        last: Event | None = None
        yield step
        while not output.ended and time.monotonic() < self._deadline:
            lines = output.read(BEAT)
            for line in lines:
                event = from_line(line)
                if isinstance(event, ProgressEvent):
                    stage = step = event.step()
                elif isinstance(event, PausedEvent):
                    step = Progress("Paused", stage.done, stage.total)
                elif isinstance(event, ResumedEvent):
                    step = _again(stage)
                elif isinstance(event, PreviewEvent):
                    yield Preview(stage.stage, stage.done, stage.total, folder=event.folder)
                    continue
                else:  # its last words, or no words of its own
                    if event is not None:
                        last = event
                        self._hurry(LEAVE_AFTER)
                    continue
                yield step
            if not lines:
                yield _again(step)
        return last

    def _end(self, process: subprocess.Popen[bytes], output: ProcessOutput) -> None:
        """Let the process stop by itself, or kill it; in any case it is gone afterwards."""
        with self._lock:
            self._process = None
            self._close(process)
        self._hurry(LEAVE_AFTER)
        while not output.ended and time.monotonic() < self._deadline:
            output.read(BEAT)  # or it would wait for its words to be read
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, self._deadline - time.monotonic()))
        launch.kill(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def _hurry(self, seconds: float) -> None:
        with self._lock:
            self._deadline = min(self._deadline, time.monotonic() + seconds)

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()

    def _order(self, word: str) -> None:
        with self._lock:
            process = self._process
            if process is None:
                self._waiting.append(word)
            elif process.stdin is not None:
                with suppress(OSError):  # it has ended by itself
                    process.stdin.write(f"{word}\n".encode())


def _again(step: Progress) -> Progress:
    return Progress(step.stage, step.done, step.total)


def _last_words(status: int, errors: list[str]) -> str:
    # Negative: a signal on Linux and macOS. Windows has large numbers for what it ends.
    if status < 0:
        return (
            f"The training process was ended from outside (signal {-status}), most often because "
            f"the computer ran out of memory: choose smaller patches or batches. {_KEPT}"
        )
    why = errors[-1] if errors else f"exit status {status}"
    return f"The training process broke down: {why} {_KEPT}"
