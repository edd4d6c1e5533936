"""Puts the maps of earlier runs on disk, in a worker, so that re-runs do not fill the memory."""

from __future__ import annotations

from weakref import WeakMethod

from qtpy.QtCore import QObject

from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import Desk
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.session.corrections.history import Held, History, Step


class Attic(QObject):
    """Follows the labels under correction of one desk."""

    def __init__(self, desk: Desk, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._moving: set[int] = set()
        desk.bound.connect(self._on_bound)

    def _on_bound(self, binding: Binding) -> None:
        document, tidy = binding.document, WeakMethod(self._tidy)

        def follow(step: Step) -> None:
            act = tidy()
            if act is not None and step.facts is not None:
                act(document.history)

        document.stepped.connect(follow)

    def _tidy(self, history: History) -> None:
        for held in history.surplus():
            if id(held) not in self._moving:
                self._put_away(history, held)

    def _put_away(self, history: History, held: Held) -> None:
        self._moving.add(id(held))
        job = self._runner.create(single_step(held.put_away))
        # Without room on the disk, undo ends before that run rather than the memory.
        job.failed.connect(lambda _: history.forget(held))
        job.finished.connect(lambda: self._moving.discard(id(held)))
        job.start()
