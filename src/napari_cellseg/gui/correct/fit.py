"""Fits the settings of a result to what a person corrected and reviewed of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject

from napari_cellseg.core.fitting.result import FitResult
from napari_cellseg.core.fitting.reviewed import Reviewed
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.boxes.fit import FitBox
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import Job, JobRunner


class Fit(QObject):
    """One fit at a time, in a worker.

    Parameters
    ----------
    mask
        Gives the reviewed area (T?, Z?, Y, X), None if nothing is marked.
    """

    def __init__(
        self,
        bench: Workbench,
        runner: JobRunner,
        box: FitBox,
        mask: Callable[[], npt.NDArray[np.bool_] | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bench, self._runner, self._box, self._mask = bench, runner, box, mask
        self._desk = desk_of(bench.viewer)
        self._job: Job | None = None
        self._found: tuple[Binding, FitResult] | None = None
        box.fit_requested.connect(self.start)
        box.cancel_requested.connect(self.cancel)
        box.apply_requested.connect(self.apply)
        bench.changed.connect(self._on_changed)

    def start(self) -> None:
        """Search, from the settings that the labels were made with."""
        binding, prediction = self._bench.binding, self._bench.prediction()
        if binding is None or binding.run is None or prediction is None:
            self._box.show_message(
                "These labels come from elsewhere: only labels that a model made here have "
                "settings to fit."
            )
            return
        document, area = binding.document, self._mask()
        decided = document.decided()
        if area is None and not decided.locked:
            self._box.show_message(
                "Accept or edit some objects, or mark the reviewed area: the fit needs to know "
                "what is right."
            )
            return
        start = binding.run.recipe.post

        def work() -> Generator[Progress, None, FitResult]:
            from napari_cellseg.core.workflows.fit import fit

            case = Reviewed(prediction, decided.labels, area, decided.locked)
            return (yield from fit(case, start))

        self._job = job = self._runner.create(work)
        job.progressed.connect(self._box.show_progress)
        job.succeeded.connect(lambda result: self._on_found(binding, result))
        job.failed.connect(lambda error: self._box.show_message(str(error)))
        job.cancelled.connect(lambda: self._on_cancelled(job))
        job.finished.connect(lambda: self._on_finished(job))
        self._box.show_progress(Progress("Fitting"))
        job.start()

    def cancel(self) -> None:
        """Stop at the next evaluation."""
        if self._job is not None:
            self._job.cancel()

    def apply(self) -> None:
        """Have the tab Segment use the settings that were found."""
        if self._found is not None:
            binding, result = self._found
            self._found = None
            self._box.show_idle()
            self._desk.settings_found.emit(binding, result.params)

    def _on_found(self, binding: Binding, result: FitResult) -> None:
        if binding is self._bench.binding:
            self._found = (binding, result)
            self._box.show_result(result)

    def _on_cancelled(self, job: Job) -> None:
        if job is self._job:  # not the one of another layer
            self._box.show_idle()

    def _on_finished(self, job: Job) -> None:
        if job is self._job:
            self._job = None

    def _on_changed(self, _: Any) -> None:
        self.cancel()
        self._found = self._job = None
        self._box.show_idle()
