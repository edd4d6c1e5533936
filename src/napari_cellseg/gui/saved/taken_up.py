"""Opened work under the sliders again: its run is made in a worker and handed to the tab."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.core.errors import EditError
from napari_cellseg.core.saved.work import SavedWork
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.saved.opened import BELONGS_KEY, WORK_KEY
from napari_cellseg.session.reopened import run_of
from napari_cellseg.session.run import Run


class TakenUp(QObject):
    """Looks for layers that come from saved work.

    Signals: ``ready(LabelsLayer, Run, origin)`` with what `ResultLayer.adopt` takes, and
    ``failed(CellsegError)``.
    """

    ready = Signal(object, object, object)
    failed = Signal(object)

    def __init__(
        self, viewer: ViewerModel, runner: JobRunner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._runner = viewer, runner
        viewer.layers.events.inserted.connect(self._on_inserted)
        # Once the tab is complete and napari has settled the layer.
        QTimer.singleShot(0, self.look)

    def _on_inserted(self, event: Any) -> None:
        if WORK_KEY in getattr(event.value, "metadata", {}):
            QTimer.singleShot(0, self.look)

    def look(self) -> None:
        """Take up all work that nobody has taken up yet."""
        for layer in list(self._viewer.layers):
            work = layer.metadata.pop(WORK_KEY, None)
            if isinstance(work, SavedWork) and isinstance(layer, LabelsLayer):
                self._take(layer, work)

    def _take(self, layer: LabelsLayer, work: SavedWork) -> None:
        if work.prediction is None or work.recipe is None or work.image is None:
            return  # there is nothing for sliders to move
        desk = desk_of(self._viewer)
        try:
            binding = desk.bind(layer)
        except EditError as error:
            self.failed.emit(error)
            return
        decided = binding.document.decided()
        version = binding.document.version
        job = self._runner.create(lambda: run_of(work, decided))

        def done(run: Run) -> None:
            if layer not in self._viewer.layers:
                return
            if binding.document.version != version:
                run = run.with_labels(binding.document.decided())
            self.ready.emit(layer, run, self._origin(layer, work))

        job.succeeded.connect(done)
        job.failed.connect(self.failed)
        job.start()

    def _origin(self, layer: LabelsLayer, work: SavedWork) -> tuple[Any, ...]:
        belongs = layer.metadata.get(BELONGS_KEY)
        for image in self._viewer.layers:
            together = image.metadata.get(BELONGS_KEY) is belongs is not None
            if together and isinstance(image, ImageLayer) and work.image is not None:
                return image, work.image.axes, work.box
        return ()
