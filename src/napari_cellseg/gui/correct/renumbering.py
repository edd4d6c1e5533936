"""Numbers the objects anew when somebody asks for it: found in a worker, given in one step."""

from __future__ import annotations

from qtpy.QtCore import QObject

from napari_cellseg.core.errors import EditError
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.session.corrections.numbering import Renumbered, renumbered


class Renumbering(QObject):
    """One request at a time, for the labels on the workbench."""

    def __init__(self, bench: Workbench, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bench = bench
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(lambda error: bench.told.emit(str(error)))
        bench.changed.connect(lambda _: self._jobs.clear())

    def start(self) -> None:
        """Find the numbers, then give them."""
        binding = self._bench.binding
        if binding is None:
            return
        decided, version = binding.document.decided(), binding.document.version
        self._jobs.submit(
            single_step(lambda: renumbered(decided.labels, version)),
            lambda found: self._on_found(binding, found),
        )

    def _on_found(self, binding: Binding, found: Renumbered) -> None:
        if binding is not self._bench.binding:
            return
        try:
            step = binding.document.renumber(found)
        except EditError as error:
            self._bench.told.emit(str(error))
            return
        count = len(found.ids)
        told = "Nothing changes: the objects are numbered 1 to {} already."
        self._bench.told.emit(("Numbered 1 to {}." if step else told).format(count))
