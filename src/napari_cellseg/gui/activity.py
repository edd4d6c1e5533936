"""A job in napari's own activity dock, and among the tasks that it asks about before closing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.components import ViewerModel
from napari.utils import progress
from napari.utils.task_status import Status

from napari_cellseg.core.progress import Progress


class Activity:
    """A progress bar in the activity dock; made, moved and closed on the main thread.

    Parameters
    ----------
    viewer
        The viewer; without a window nothing is shown.
    title
        What the bar is called.
    cancel
        Called if napari is closed while the job runs.
    """

    def __init__(self, viewer: ViewerModel, title: str, cancel: Callable[[], Any]) -> None:
        self._title = title
        self._bar: progress | None = None
        self._task: Any = None
        self._showing = False
        self._window = getattr(viewer, "window", None)
        if self._window is None:
            return
        self._bar = progress(total=0, desc=title)
        register = getattr(self._window, "_register_task_status", None)
        if register is not None:
            self._task = register("napari-cellseg", Status.BUSY, title, cancel)

    def show(self, told: Progress) -> None:
        """Move the bar."""
        # napari processes events meanwhile: the next step may arrive, or the job may have ended.
        if self._bar is None or self._showing:
            return
        self._showing = True
        try:
            self._move(self._bar, told)
        finally:
            self._showing = False

    def _move(self, bar: progress, told: Progress) -> None:
        if bar.total != told.total:
            bar.total = told.total
        bar.set_description(f"{self._title}: {told.stage}")
        if self._bar is not None:
            bar.update(told.done - bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.close()
        update = getattr(self._window, "_update_task_status", None)
        if update is not None and self._task is not None:
            update(self._task, Status.COMPLETED)
