"""Run workflows in worker threads and deliver what they tell on the main thread.

This is the only file that starts threads. A worker draws `Progress` from a generator and closes it
there when the job is cancelled, so that its ``finally`` blocks run in the thread that owns
the work. Every exception becomes a `CellsegError` in the outcome: Qt's workers swallow
``RuntimeError``, which is torch's class for most failures, without any signal.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal, Slot
from superqt.utils import WorkerBase
from superqt.utils._qthreading import WorkerBaseSignals

from napari_cellseg.core.errors import Cancelled, CellsegError
from napari_cellseg.core.progress import Progress

_log = logging.getLogger(__name__)

# A thread that still imports or computes while Python takes itself apart crashes the process.
# napari waits for its workers when its event loop ends; a script may end without one.
atexit.register(WorkerBase.await_workers)

Workflow = Callable[[], Generator[Progress, None, Any]]


def single_step(function: Callable[[], Any]) -> Workflow:
    """Return a workflow that calls `function`, for work that is too short to tell progress."""

    def work() -> Generator[Progress, None, Any]:
        yield from ()
        return function()

    return work


@dataclass(frozen=True)
class _Outcome:
    result: Any = None
    error: CellsegError | None = None


class _Signals(WorkerBaseSignals):
    progressed = Signal(object)
    ended = Signal(object)


class _Worker(WorkerBase[None]):
    """Draws a generator dry in a thread of Qt's pool; napari asks it to quit when it closes."""

    def __init__(self, start: Workflow) -> None:
        super().__init__(SignalsClass=_Signals)
        self._start = start

    def work(self) -> None:
        self.signals.ended.emit(self._outcome())

    def _outcome(self) -> _Outcome:
        try:
            return self._drain()
        except CellsegError as error:
            return _Outcome(error=error)
        except MemoryError:
            return _Outcome(
                error=CellsegError(
                    "The computer ran out of memory: choose a smaller scope, such as 'This view'."
                )
            )
        except Exception as error:  # noqa: BLE001 - nothing may be lost in a thread
            _log.exception("a background job failed")
            return _Outcome(
                error=CellsegError(
                    f"Something went wrong inside the plugin ({type(error).__name__}: {error}). "
                    "Your layers are untouched; please report it with the log."
                )
            )

    def _drain(self) -> _Outcome:
        if self.abort_requested:
            return _Outcome(error=Cancelled("Cancelled."))
        workflow = self._start()
        try:
            while not self.abort_requested:
                self.signals.progressed.emit(next(workflow))
        except StopIteration as stop:
            return _Outcome(result=stop.value)
        finally:
            workflow.close()
        return _Outcome(error=Cancelled("Cancelled; nothing was changed."))


class Job(QObject):
    """One running workflow.

    Signals, all emitted on the main thread: ``progressed(Progress)``, then exactly one of
    ``succeeded(result)``, ``failed(CellsegError)`` and ``cancelled()``, then ``finished()``. After
    `cancel` neither progress nor a result is delivered, whatever the worker had under way.
    """

    progressed = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()

    def __init__(self, start: Workflow, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cancelled = False
        self._worker = _Worker(start)
        # Queued and to a QObject: the slots run in this object's thread with every Qt binding.
        queued = Qt.ConnectionType.QueuedConnection
        self._worker.signals.progressed.connect(self._on_progressed, queued)
        self._worker.signals.ended.connect(self._on_ended, queued)

    def start(self) -> None:
        """Hand the workflow to the thread pool."""
        self._worker.start()

    def cancel(self) -> None:
        """Stop at the workflow's next yield; `cancelled` follows when it has stopped."""
        self._cancelled = True
        self._worker.quit()

    @Slot(object)
    def _on_progressed(self, progress: Progress) -> None:
        if not self._cancelled:
            self.progressed.emit(progress)

    @Slot(object)
    def _on_ended(self, outcome: _Outcome) -> None:
        if self._cancelled or isinstance(outcome.error, Cancelled):
            self.cancelled.emit()
        elif outcome.error is not None:
            self.failed.emit(outcome.error)
        else:
            self.succeeded.emit(outcome.result)
        self.finished.emit()


class JobRunner(QObject):
    """Starts jobs and keeps them alive until they have ended."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: set[Job] = set()

    @property
    def busy(self) -> bool:
        """Whether any job has not ended yet."""
        return bool(self._jobs)

    def create(self, start: Workflow) -> Job:
        """Return a job for the workflow that `start` makes; connect it, then ``job.start()``.

        `start` is called in the worker. It must hold copies, read-only arrays and frozen
        settings, never the session, the viewer or a widget.
        """
        job = Job(start, self)
        self._jobs.add(job)
        job.finished.connect(lambda: self._forget(job))
        return job

    def _forget(self, job: Job) -> None:
        self._jobs.discard(job)
        job.deleteLater()

    def cancel_all(self) -> None:
        """Cancel every job; none of them delivers anything any more."""
        for job in self._jobs:
            job.cancel()


class LatestJob(QObject):
    """A queue of length one: while a job runs, only the newest request waits.

    A slider that moves faster than the computer thus skips steps instead of piling them up, and a
    slow hand gets every step at once. ``idle`` is emitted when nothing runs or waits any more.
    """

    failed = Signal(object)
    idle = Signal()

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._running: Job | None = None
        self._waiting: tuple[Workflow, Callable[[Any], None]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._running is not None

    def submit(self, start: Workflow, deliver: Callable[[Any], None]) -> None:
        """Run `start` as soon as the running job ends, in place of any that waits already."""
        self._waiting = (start, deliver)
        if self._running is None:
            self._start_next()

    def clear(self) -> None:
        """Cancel what runs and forget what waits; nothing is delivered."""
        self._waiting = None
        if self._running is not None:
            self._running.cancel()

    def _start_next(self) -> None:
        if self._waiting is None:
            self.idle.emit()
            return
        (start, deliver), self._waiting = self._waiting, None
        self._running = job = self._runner.create(start)
        job.succeeded.connect(deliver)
        job.failed.connect(self.failed)
        job.finished.connect(self._on_finished)
        job.start()

    def _on_finished(self) -> None:
        self._running = None
        self._start_next()
