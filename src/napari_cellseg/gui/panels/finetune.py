"""The tab Fine-tune: connects its widgets with the corrections, the training and the models."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtGui import QHideEvent, QShowEvent

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.boxes.finetune_view import FineTuneView
from napari_cellseg.gui.boxes.training_run import PAUSED
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.finetune.colours import follow_theme, theme_colours
from napari_cellseg.gui.finetune.elsewhere import Elsewhere
from napari_cellseg.gui.finetune.gate import Gate
from napari_cellseg.gui.finetune.lineage import Lineage
from napari_cellseg.gui.finetune.plan import Plan
from napari_cellseg.gui.finetune.preview import Preview
from napari_cellseg.gui.finetune.runs import Runs
from napari_cellseg.gui.finetune.sources import Sources
from napari_cellseg.gui.finetune.unfinished import Unfinished
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.panel_registry import PANELS, Panel
from napari_cellseg.gui.preferences import read_preferences

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job
    from napari_cellseg.session.finetuning.process import Outcome


@PANELS.register("finetune")
class FineTunePanel(Panel):
    """From corrections to a better model.

    Parameters
    ----------
    napari_viewer
        The viewer that the tab works in.
    """

    title = "Fine-tune"
    place = 2

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._asked = False  # for a preview that has not come yet
        self.runner = JobRunner(self)
        self._viewer, self.desk = napari_viewer, desk_of(napari_viewer)
        self.view = view = FineTuneView()
        preferences = read_preferences()
        self.sources = Sources(napari_viewer, self.runner, view.sources, self)
        self.plan = Plan(self.sources, self.runner, view.training, preferences, self)
        self.runs = Runs(napari_viewer, self.runner, self)
        self.preview = Preview(napari_viewer, self.runner, self)
        self.gate = Gate(self.desk, self.runner, view.gate, self)
        self.lineage = Lineage(self.desk, self.runner, view.lineage, self)
        self.unfinished = Unfinished(self.runner, view.unfinished, self)
        self.elsewhere = Elsewhere(self.runner, view.training, self)
        self.setWidget(view)
        self._connect_choices()
        self._connect_run()
        view.training.allow(self.plan.why_not())

    def _connect_choices(self) -> None:
        view = self.view
        view.training.start_requested.connect(self.start)
        view.training.export_requested.connect(self._on_export)
        self.unfinished.resume_requested.connect(self._on_resume)
        self.sources.failed.connect(self.show_failure)
        self.unfinished.failed.connect(self.show_failure)
        self.gate.shown.connect(lambda: view.show_verdict(True))
        self.gate.dismissed.connect(lambda: view.show_verdict(False))
        self.desk.model_chosen.connect(self._on_model_chosen)
        follow_theme(self._viewer, self._on_theme)

    def _connect_run(self) -> None:
        run, runs = self.view.run, self.runs
        run.pause_requested.connect(self._on_pause)
        run.cancel_requested.connect(self._on_cancel)
        run.preview_requested.connect(self._on_preview)
        runs.started.connect(self._on_started)
        runs.progressed.connect(self._on_progressed)
        runs.preview_made.connect(self._on_preview_made)
        runs.finished.connect(self._on_finished)
        runs.failed.connect(self._on_failed)
        runs.cancelled.connect(run.show_end)
        runs.ended.connect(self._on_ended)
        self.preview.told.connect(run.show_message)
        self.preview.ended.connect(self._on_preview_ended)

    # What would be trained

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Count what there is to learn from."""
        super().showEvent(event)
        self.plan.refresh_models()
        self.sources.wake()
        self.unfinished.look()
        self.lineage.refresh()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Count no longer; a training goes on behind another tab."""
        if not event.spontaneous():
            self.sources.sleep()
        super().hideEvent(event)

    def _on_model_chosen(self, folder: str) -> None:
        if self.isVisible():
            self.plan.refresh_models()

    def _on_export(self) -> None:
        order = self.plan.order()
        if order is not None:
            self.elsewhere.ask(order)

    # The run

    @property
    def _can_show(self) -> bool:
        return self.sources.layer_to_show() is not None

    def start(self) -> None:
        """Teach the model with what is ticked now."""
        reason, order = self.plan.why_not(), self.plan.order()
        if reason or order is None:
            self.view.training.show_message(reason)
            return
        self.gate.forget()
        self.runs.start(order, self.plan.device)

    def _on_resume(self, job: Job) -> None:
        self.gate.forget()
        self.runs.resume(job, self.plan.device)

    def _on_started(self) -> None:
        self.view.training.show_message("")
        self.view.show_running(True)
        self.view.run.show_start()
        self.ensureWidgetVisible(self.view.run)

    def _on_progressed(self, progress: Progress) -> None:
        run = self.view.run
        if progress.metrics and not run.curve.plots:
            run.curve.begin(import_module("pyqtgraph"))  # the worker has loaded it
            self._on_theme()
        run.show_progress(progress)
        run.show_pausing(progress.stage == PAUSED)
        run.curve.add(progress)
        if progress.metrics and not run.preview.isEnabled() and not self._asked:
            run.show_preview(False if self._can_show else None)

    def _on_pause(self, on: bool) -> None:
        self.view.run.pause.setEnabled(False)
        self.runs.pause(on)

    def _on_cancel(self) -> None:
        self.view.run.show_cancelling()
        self.runs.cancel()

    def _on_preview(self) -> None:
        self._asked = self.runs.ask_preview()
        self.view.run.show_preview(True if self._asked else None)

    def _on_preview_made(self, folder: Path) -> None:
        self.preview.show(folder, self.sources.layer_to_show(), self.plan.device)

    def _on_preview_ended(self) -> None:
        self._asked = False
        self.view.run.show_preview(False if self._can_show else None)

    def _on_finished(self, job: Job, outcome: Outcome) -> None:
        self.view.run.show_end("Training has ended.")
        self.gate.judge(job, outcome)

    def _on_failed(self, error: CellsegError) -> None:
        self.view.run.show_end(str(error))
        show_error(str(error))

    def _on_ended(self) -> None:
        self.preview.hide()
        self.view.show_running(False)
        self.unfinished.look()

    def show_failure(self, error: CellsegError) -> None:
        """Say what went wrong beside the button."""
        self.view.training.show_message(str(error))

    def _on_theme(self) -> None:
        self.view.run.curve.show_colours(theme_colours(self._viewer))

    def shut_down(self) -> None:
        """Stop; a training keeps its checkpoint, and the next start offers to go on."""
        self.runs.shut_down()
        self.preview.hide()
        for part in (self.sources, self.plan, self.gate, self.lineage, self.unfinished):
            part.shut_down()
