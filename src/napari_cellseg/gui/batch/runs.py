"""One batch at a time, in a worker; its queue is looked at several times a second."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.core.batch.queue import State
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.gui.activity import Activity
from napari_cellseg.gui.finetune.runs import calmed
from napari_cellseg.gui.job_runner import Job, JobRunner

if TYPE_CHECKING:
    from napari_cellseg.core.batch.inputs import BatchInput
    from napari_cellseg.core.batch.queue import Queue
    from napari_cellseg.core.batch.results import BatchResult

_LOOK_MS = 150


@dataclass(frozen=True, eq=False)
class Order:
    """What to do: everything is frozen, layers may go.

    Attributes
    ----------
    inputs
        The images.
    recipe
        What to do with each.
    folder, settings
        Where the results go, and what else is wanted.
    axes
        Meaning of the dimensions of files, "" as they say.
    device, threads
        What computes.
    """

    inputs: tuple[BatchInput, ...]
    recipe: Recipe
    folder: Path
    settings: BatchSettings
    axes: str = ""
    device: str = "auto"
    threads: int = 0


class _Line:
    """What worker and main thread share: the queue, as soon as there is one."""

    queue: Queue | None = None


class BatchRuns(QObject):
    """Signals: ``started()``, ``moved(Queue)`` while it runs and once when it has ended.

    At the end one of ``finished(BatchResult)``, ``failed(CellsegError)`` and ``cancelled()``,
    then ``ended()``.
    """

    started = Signal()
    moved = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    ended = Signal()

    def __init__(
        self, viewer: ViewerModel, runner: JobRunner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._runner = viewer, runner
        self._job: Job | None = None
        self._line = _Line()
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._on_look)

    @property
    def running(self) -> bool:
        """Whether a batch is under way."""
        return self._job is not None

    def start(self, order: Order) -> None:
        """Do a batch; does nothing while another one runs."""
        if self.running:
            return
        self._line = line = _Line()
        self._job = job = self._runner.create(lambda: work(order, line))
        title = f"CellSeg: {len(order.inputs)} images"
        self._activity = activity = Activity(self._viewer, title, self.cancel_all)
        job.progressed.connect(activity.show)
        job.succeeded.connect(self._on_succeeded)
        job.failed.connect(self._on_failed)
        job.cancelled.connect(self.cancelled)
        job.finished.connect(self._on_ended)
        self._look.start()
        self.started.emit()
        job.start()

    def cancel(self, number: int, reason: str = "") -> None:
        """Leave out one image; it stops soon if it runs."""
        queue = self._line.queue
        if queue is not None:
            queue.cancel(number, *([reason] if reason else []))

    def cancel_all(self) -> None:
        """Leave out all images that are not finished; tables and report are still written."""
        if self._line.queue is not None:
            self._line.queue.cancel_all()
        elif self._job is not None:
            self._job.cancel()

    def shut_down(self) -> None:
        """Stop soon; what the network has seen by then is written, and nothing is told any more."""
        if self._job is not None:
            self._job.cancel()

    def _on_look(self) -> None:
        if self._line.queue is not None:
            self.moved.emit(self._line.queue)

    def _on_succeeded(self, result: BatchResult) -> None:
        self._on_look()
        self.finished.emit(result)

    def _on_failed(self, error: CellsegError) -> None:
        self._on_look()
        self.failed.emit(error)

    def _on_ended(self) -> None:
        self._look.stop()
        self._activity.close()
        self._job = None
        self._line = _Line()
        self.ended.emit()


def work(order: Order, line: _Line) -> Generator[Progress, None, BatchResult]:
    """Do a batch (in a worker)."""
    yield Progress("Looking at the images")
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.batch.inputs import named
    from napari_cellseg.core.batch.queue import Queue
    from napari_cellseg.core.workflows.batch import batch

    if order.threads:
        torch.set_num_threads(order.threads)
    inputs = [
        replace(one, axes=order.axes) if order.axes and one.path is not None else one
        for one in named(order.inputs)
    ]
    yield Progress("Loading the model")
    line.queue = queue = Queue(inputs)
    steps = batch(queue, order.recipe, order.folder, settings=order.settings, device=order.device)
    # Fewer steps than the window can show: it looks at the queue by itself.
    result: BatchResult = yield from calmed(steps)
    return result


def summary(result: BatchResult) -> str:
    """Return in a sentence what came out of a batch."""
    count = len(result.items)
    failed, skipped = result.number(State.FAILED), _left_out(result)
    text = f"{count - failed - skipped} of {count} images are in '{result.folder}'"
    told = [f"{skipped} left out"] if skipped else []
    told += [f"{failed} failed; report.txt there says why"] if failed else []
    return text + (f" ({', '.join(told)})." if told else ".")


def _left_out(result: BatchResult) -> int:
    from napari_cellseg.core.batch.queue import FINISHED_BEFORE

    skipped = [item for item in result.items if item.state == State.SKIPPED]
    return sum(item.note != FINISHED_BEFORE for item in skipped)
