"""What becomes of a new model: used if it is better, and back with one click."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.store import ModelEntry
from napari_cellseg.gui.boxes.gate import GateBox
from napari_cellseg.gui.correct.desk import Desk
from napari_cellseg.gui.job_runner import JobRunner, LatestJob

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job
    from napari_cellseg.core.finetuning.judgement.gate import GateReport
    from napari_cellseg.session.finetuning.process import Outcome


@dataclass(frozen=True, eq=False)
class _Judged:
    """A finished training.

    Attributes
    ----------
    job, outcome
        As the run left them.
    report
        What the gate measured, None if that cannot be read.
    parent
        The model that it started from, None if it is gone.
    child
        The new model among the user's own, None as long as it is not installed.
    """

    job: Job
    outcome: Outcome
    report: GateReport | None
    parent: ModelEntry | None
    child: ModelEntry | None = None


class Gate(QObject):
    """Signals: ``shown()`` when there is a verdict, ``dismissed()`` when it is done with."""

    shown = Signal()
    dismissed = Signal()

    def __init__(
        self, desk: Desk, runner: JobRunner, box: GateBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._desk, self._box = desk, box
        self._judged: _Judged | None = None
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(self._on_failed)
        box.use_requested.connect(self._on_use)
        box.keep_requested.connect(self._on_keep)
        box.again_requested.connect(desk.run_requested.emit)

    def judge(self, job: Job, outcome: Outcome) -> None:
        """Show the verdict; a better model is installed and chosen at once."""
        self._jobs.submit(lambda: _read(job, outcome), self._on_read)

    def _on_read(self, judged: _Judged) -> None:
        self._judged = judged
        parent = judged.job.parent_name
        self._box.show_report(judged.job.name, parent, judged.report, judged.outcome.reason)
        self._box.show_kept(judged.outcome.accepted, installed=False)
        self.shown.emit()
        if judged.outcome.accepted:
            self._on_use()

    def _on_use(self) -> None:
        judged = self._judged
        if judged is None:
            return
        if judged.child is not None:
            self._choose(judged)
            return
        self._box.show_busy("The new model is being installed…")
        self._jobs.submit(lambda: _install(judged), self._choose)

    def _choose(self, judged: _Judged) -> None:
        self._judged = judged
        if judged.child is not None:
            self._desk.model_chosen.emit(str(judged.child.folder))
            self._box.show_used(judged.outcome.accepted, judged.child.name)

    def _on_keep(self) -> None:
        """Go back to the parent; a model that was never used is deleted."""
        judged = self._judged
        if judged is None:
            return
        if judged.child is None:
            self.forget()
            self.dismissed.emit()
        elif judged.parent is None:
            self._box.show_message(
                f"'{judged.job.parent_name}' is not installed any more: choose a model in the tab "
                "Segment."
            )
        else:
            self._desk.model_chosen.emit(str(judged.parent.folder))
            self._box.show_kept(judged.outcome.accepted, installed=True)

    def forget(self) -> None:
        """Be done with the last verdict; a new model that nobody wanted is deleted."""
        judged, self._judged = self._judged, None
        self._box.hide()
        if judged is not None and judged.child is None:
            self._jobs.submit(lambda: _remove(judged.job), lambda _: None)

    def _on_failed(self, error: CellsegError) -> None:
        if self._judged is not None:
            self._box.show_kept(self._judged.outcome.accepted, installed=False)
        self._box.show_message(str(error))
        self.shown.emit()

    def shut_down(self) -> None:
        """Forget what is under way; nothing is deleted."""
        self._jobs.clear()


def _read(job: Job, outcome: Outcome) -> Generator[Progress, None, _Judged]:
    yield Progress("Reading the comparison")
    from napari_cellseg.core.finetuning.judgement.gate import GateReport

    report = parent = None
    with suppress(CellsegError):  # the verdict is known without it
        report = GateReport.load(job.gate_file)
    with suppress(CellsegError):
        parent = job.find_parent()
    return _Judged(job, outcome, report, parent)


def _install(judged: _Judged) -> Generator[Progress, None, _Judged]:
    yield Progress("Installing the model")
    from napari_cellseg.core.workflows.finetune import install_child

    child = install_child(judged.job)
    with suppress(CellsegError):  # the model is safe; what is left is only a copy of the data
        judged.job.remove()
    return replace(judged, child=child)


def _remove(job: Job) -> Generator[Progress, None, None]:
    yield Progress("Deleting the training")
    job.remove()
