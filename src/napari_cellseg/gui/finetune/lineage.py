"""Keeps the tree of models up to date while it can be seen."""

from __future__ import annotations

from qtpy.QtCore import QObject

from napari_cellseg.core.zoo.store import list_models
from napari_cellseg.gui.boxes.lineage import LineageBox
from napari_cellseg.gui.correct.desk import Desk
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.session.finetuning.lineage import family


class Lineage(QObject):
    """Shows which model was taught from which; one of them can be chosen."""

    def __init__(
        self, desk: Desk, runner: JobRunner, box: LineageBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._box = box
        self._current = ""
        self._jobs = LatestJob(runner, self)
        box.shown.connect(self.refresh)
        box.choose_requested.connect(desk.model_chosen.emit)
        desk.model_chosen.connect(self._on_chosen)

    def refresh(self) -> None:
        """Show the tree as it is now, if it is unfolded."""
        if self._box.unfolded:
            self._jobs.submit(
                single_step(lambda: family(list_models())),
                lambda roots: self._box.show_tree(roots, self._current),
            )

    def _on_chosen(self, folder: str) -> None:
        self._current = folder
        self.refresh()

    def shut_down(self) -> None:
        """Forget what is under way."""
        self._jobs.clear()
