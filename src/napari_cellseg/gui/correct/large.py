"""Steps that change much: worked out in a worker, so that the window goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import QObject, QTimer

from napari_cellseg.core.errors import EditError
from napari_cellseg.gui import layers
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.session.corrections.ahead import Ahead, EditsOf, Way, edited, turned
from napari_cellseg.session.corrections.history import Step

_AGAIN_MS = 50  # until a brush stroke is looked for again
_BUSY = "A large step is being worked out: wait a moment."


class LargeSteps(QObject):
    """One at a time, for the labels on the workbench."""

    def __init__(self, bench: Workbench, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bench = bench
        self._runner = JobRunner(self)
        self._binding: Binding | None = None
        bench.changed.connect(self._on_changed)
        self._on_changed(bench.binding)

    @property
    def busy(self) -> bool:
        """Whether one is being worked out."""
        return self._runner.busy

    def edit(self, edits_of: EditsOf, name_of: Callable[[int], str], doing: str) -> None:
        """Edit the shown plane; both functions are called in a worker, see `ahead.edited`."""
        binding = self._bench.binding
        if binding is not None:
            before, index = binding.document.before(), self._bench.index()
            self._work(binding, lambda: edited(before, name_of, index, edits_of), doing)

    def stop(self) -> None:
        """Forget what is under way."""
        self._runner.cancel_all()

    def _on_changed(self, binding: Binding | None) -> None:
        self.stop()
        if self._binding is not None:
            self._binding.work_out = None
        self._binding = binding
        if binding is not None:
            binding.work_out = partial(self._turn, binding)

    def _turn(self, binding: Binding, way: Way, step: Step) -> None:
        before = binding.document.before()
        self._work(binding, lambda: turned(before, way, step), step.name)

    def _work(self, binding: Binding, work: Callable[[], Ahead], name: str) -> None:
        if self.busy:
            self._bench.told.emit(_BUSY)
            return
        self._bench.told.emit(f"{name}…")
        job = self._runner.create(single_step(work))
        job.succeeded.connect(lambda ahead: self._arrive(binding, ahead, name))
        job.failed.connect(lambda error: self._bench.told.emit(str(error)))
        job.start()

    def _arrive(self, binding: Binding, ahead: Ahead, name: str) -> None:
        if binding is not self._bench.binding:
            return
        if layers.stroke_in_progress(binding.layer):
            QTimer.singleShot(_AGAIN_MS, lambda: self._arrive(binding, ahead, name))
            return
        try:
            step = binding.arrive(ahead)
        except EditError as error:
            self._bench.told.emit(str(error))
            return
        self._bench.told.emit("" if step is not None else f"{name}: nothing to change here.")
