"""Looks for trainings that had not ended when napari did, and offers to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_cellseg.gui.boxes.unfinished import UnfinishedBox
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job


class Unfinished(QObject):
    """Signals: ``resume_requested(Job)``, ``failed(CellsegError)``."""

    resume_requested = Signal(object)
    failed = Signal(object)

    def __init__(
        self, runner: JobRunner, box: UnfinishedBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._box = box
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(self.failed)
        box.resume_requested.connect(self.resume_requested)
        box.discard_requested.connect(self._on_discard)

    def look(self) -> None:
        """Offer what there is now."""
        self._jobs.submit(single_step(_unfinished), self._box.show_jobs)

    def _on_discard(self, job: Job) -> None:
        def remove() -> list[Job]:
            job.remove()
            return _unfinished()

        self._jobs.submit(single_step(remove), self._box.show_jobs)

    def shut_down(self) -> None:
        """Forget what is under way."""
        self._jobs.clear()


def _unfinished() -> list[Job]:
    from napari_cellseg.core.finetuning.jobs.job import unfinished

    return unfinished()
