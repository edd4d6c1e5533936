"""Measures on request: the fast columns at once, the ticked slow ones after them."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.measure.settings import Kind, MeasureSettings
from napari_cellseg.core.measure.table import KEYS, MeasureTable
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui import features
from napari_cellseg.gui.boxes.measure import MeasureBox
from napari_cellseg.gui.job_runner import Job, JobRunner
from napari_cellseg.gui.measure.orders import Measured, measure_fast, measure_slow
from napari_cellseg.gui.measure.selection import Selection
from napari_cellseg.gui.measure.subject import Subject

_DECIDED = ("score", "margin", "class", "locked", "edited", "accepted")
"""Columns that come from the features table or are kept there by others."""
_STALE = "The objects have changed since they were measured."


class Measuring(QObject):
    """Fills the table; ``ended()`` when nothing is being measured any more."""

    ended = Signal()

    def __init__(
        self,
        subject: Subject,
        selection: Selection,
        runner: JobRunner,
        box: MeasureBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._subject, self._selection = subject, selection
        self._runner, self._box = runner, box
        self._job: Job | None = None
        self._put: tuple[str, ...] = ()  # columns that are in the features table
        self._edited = False  # since the labels were read
        self.measured: Measured | None = None
        box.measure_requested.connect(self.start)
        box.cancel_requested.connect(self.cancel)
        subject.changed.connect(self._on_subject)
        subject.edited.connect(self._on_edited)

    @property
    def fresh(self) -> Measured | None:
        """What was measured of the objects as they are now, None if that is not known."""
        return None if self._edited else self.measured

    @property
    def running(self) -> bool:
        """Whether anything is being measured."""
        return self._job is not None

    def start(self) -> None:
        """Measure the labels with what is ticked now."""
        self.cancel()
        settings, slow = self._box.settings, self._box.slow_kinds
        try:
            snapshot = self._subject.snapshot()
        except CellsegError as error:
            self._box.show_message(str(error))
            return
        if snapshot is None:
            self._box.show_message("Choose a labels layer to measure.")
            return
        self._edited = False
        job = self._runner.create(lambda: measure_fast(snapshot, settings))
        job.succeeded.connect(lambda found: self._on_fast(job, found, slow, settings))
        self._run(job)

    def _on_fast(
        self, job: Job, found: Measured, slow: tuple[Kind, ...], settings: MeasureSettings
    ) -> None:
        if job is not self._job:
            return
        self._show(found)
        kinds = tuple(kind for kind in slow if kind != "intensity" or found.images)
        if kinds and len(found.table):
            after = self._runner.create(lambda: measure_slow(found, kinds, settings))
            after.succeeded.connect(lambda more: self._on_slow(after, more))
            self._run(after)

    def _on_slow(self, job: Job, found: Measured) -> None:
        if job is self._job:
            self._show(found)

    def _run(self, job: Job) -> None:
        self._job = job
        job.progressed.connect(lambda step: self._on_progress(job, step))
        job.failed.connect(lambda error: self._box.show_message(str(error)))
        job.finished.connect(lambda: self._on_finished(job))
        self._box.show_running(True)
        job.start()

    def _on_progress(self, job: Job, step: Progress) -> None:
        if job is self._job:
            self._box.show_progress(step)

    def _on_finished(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._box.show_running(False)
            self.ended.emit()

    def cancel(self) -> None:
        """Stop; what is there already stays."""
        if self._job is not None:
            self._job.cancel()
            self._job = None
            self._box.show_running(False)
            self.ended.emit()

    def _show(self, found: Measured) -> None:
        self.measured = found
        self._selection.show(found.table)
        self._note(found.table)
        self._box.show_message(_STALE if self._edited else " ".join(found.table.notes))

    def _note(self, table: MeasureTable) -> None:
        """Put the columns into napari's table of the layer, where an object has one row."""
        layer, labels = self._subject.layer, table["label"]
        if layer is None or np.unique(labels).size != labels.size:
            return
        own = {k: v for k, v in table.columns.items() if k not in (*KEYS, *_DECIDED)}
        gone = tuple(name for name in self._put if name not in own)
        if gone:
            features.drop_columns(layer, gone)
        if features.put_columns(layer, {features.INDEX: labels, **own}):
            self._put = tuple(own)

    # What changes

    def _on_subject(self) -> None:
        self.cancel()
        self.measured, self._put, self._edited = None, (), False
        self._selection.show(None)
        self._box.show_message("")

    def _on_edited(self) -> None:
        if not self._edited:
            self._edited = True
            if self.measured is not None:
                self._box.show_message(_STALE)
