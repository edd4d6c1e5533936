"""One training at a time: prepared and followed in a worker, computed in a process of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.store import ModelEntry
from napari_cellseg.gui.activity import Activity
from napari_cellseg.gui.job_runner import Job as Work
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.session.finetuning.material import Material

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job
    from napari_cellseg.session.finetuning.process import Outcome, TrainingProcess

COPYING = "Copying the data"
_INTERVAL = 0.1  # s
_FREQUENT = {"loss", "rate"}  # of every batch

Following = Generator[Progress, None, tuple["Job", "Outcome"]]


@dataclass(frozen=True, eq=False)
class Order:
    """What to train: everything is frozen, layers may go.

    Attributes
    ----------
    name
        Of the model to come.
    parent
        Model to start from.
    settings
        What was chosen.
    materials
        What to learn from.
    """

    name: str
    parent: ModelEntry
    settings: FineTuneSettings
    materials: tuple[Material, ...]


class _Line:
    """What worker and main thread share: the process, as soon as there is one."""

    process: TrainingProcess | None = None


class Runs(QObject):
    """Signals: ``started()``, ``progressed(Progress)``, ``preview_made(Path)``.

    At the end one of ``finished(Job, Outcome)``, ``failed(CellsegError)`` and
    ``cancelled(str)`` with a sentence, then ``ended()``.
    """

    started = Signal()
    progressed = Signal(object)
    preview_made = Signal(object)
    finished = Signal(object, object)
    failed = Signal(object)
    cancelled = Signal(str)
    ended = Signal()

    def __init__(
        self, viewer: ViewerModel, runner: JobRunner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._runner = viewer, runner
        self._work: Work | None = None
        self._line = _Line()

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self._work is not None

    def start(self, order: Order, device: str) -> None:
        """Train something new; does nothing while another training runs."""
        self._start(order.name, lambda line: _teach(order, device, line))

    def resume(self, job: Job, device: str) -> None:
        """Go on with a training; does nothing while another one runs."""
        self._start(job.name, lambda line: _follow(job, device, line, resume=True))

    def _start(self, name: str, workflow: Callable[[_Line], Following]) -> None:
        if self.running:
            return
        self._line = line = _Line()
        self._work = work = self._runner.create(lambda: workflow(line))
        self._activity = activity = Activity(self._viewer, f"CellSeg: {name}", self.cancel)
        work.progressed.connect(self._on_progressed)
        work.progressed.connect(activity.show)  # last, because napari processes events in it
        work.succeeded.connect(lambda found: self.finished.emit(*found))
        work.failed.connect(self.failed)
        work.cancelled.connect(lambda: self.cancelled.emit("Cancelled."))
        work.finished.connect(self._on_ended)
        self.started.emit()
        work.start()

    def cancel(self) -> None:
        """Stop within one batch; a checkpoint is kept. Asked twice: at once."""
        if self._line.process is not None:
            self._line.process.cancel()
        elif self._work is not None:
            self._work.cancel()

    def pause(self, on: bool) -> None:
        """Wait before the next batch, or go on."""
        process = self._line.process
        if process is not None:
            (process.pause if on else process.go_on)()

    def ask_preview(self) -> bool:
        """Ask for the weights of now; return whether there is anybody to ask."""
        process = self._line.process
        if process is not None:
            process.preview()
        return process is not None

    def shut_down(self) -> None:
        """Cancel; nothing is delivered any more, and the next start offers to go on."""
        self.cancel()
        if self._work is not None:
            self._work.cancel()

    def _on_progressed(self, progress: Progress) -> None:
        folder = getattr(progress, "folder", None)
        if folder is not None:
            self.preview_made.emit(folder)
        else:
            self.progressed.emit(progress)

    def _on_ended(self) -> None:
        self._activity.close()
        self._work = None
        self._line = _Line()
        self.ended.emit()


def prepare(order: Order) -> Generator[Progress, None, Job]:
    """Copy what is learnt from into a new job (in a worker)."""
    yield Progress("Preparing")
    from napari_cellseg.core.finetuning.jobs.job import Job, free_folder

    sources = []
    for done, material in enumerate(order.materials):
        for source in material.sources():
            yield Progress(COPYING, done, len(order.materials))
            sources.append(source)
    yield Progress(COPYING, len(order.materials), len(order.materials))
    return Job.create(free_folder(order.name), order.name, order.parent, order.settings, sources)


def _teach(order: Order, device: str, line: _Line) -> Following:
    job = yield from prepare(order)
    return (yield from _follow(job, device, line, resume=False))


def _follow(job: Job, device: str, line: _Line, *, resume: bool) -> Following:
    """Run a job to its end; one that left no checkpoint leaves nothing behind."""
    from napari_cellseg.session.finetuning.process import TrainingProcess

    done = False
    try:
        yield Progress("Preparing")
        import_module("pyqtgraph")  # here: it takes longer than the window may stand still
        line.process = TrainingProcess(job, device, resume=resume)
        outcome = yield from calmed(line.process.events())
        done = True
        return job, outcome
    finally:
        line.process = None
        if not done:
            _clear(job)


def calmed(events: Generator[Progress, None, Any]) -> Generator[Progress, None, Any]:
    """Leave out steps that come too fast to be seen, so that the window is not flooded.

    What tells a score, a message, another stage or a preview is never left out.
    """
    stage, last = "", -math.inf
    try:
        while True:
            try:
                step = next(events)
            except StopIteration as stop:
                return stop.value
            now = time.monotonic()
            rare = type(step) is not Progress or step.message or set(step.metrics) - _FREQUENT
            if rare or step.stage != stage or now - last >= _INTERVAL:
                stage, last = step.stage, now
                yield step
    finally:
        events.close()


def _clear(job: Job) -> None:
    from napari_cellseg.core.finetuning.jobs.job import unfinished

    if all(one.folder != job.folder for one in unfinished(job.folder.parent)):
        with suppress(CellsegError):
            job.remove()
