"""Live post-processing: the visible part first, the whole behind it, never the network."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.core.progress import Progress
from napari_cellseg.gui import geometry, layers
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.gui.segment import preview
from napari_cellseg.gui.segment.preview import UInt16Array
from napari_cellseg.gui.segment.result import ResultLayer
from napari_cellseg.session.corrections.decided import Decided
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.locks import Int32Array
from napari_cellseg.session.run import Run
from napari_cellseg.session.session import Session

WHOLE_AT_ONCE = 3_000_000
"""Images of up to so many pixels are relabelled whole at every move: that is fast enough."""
SETTLE_MS = 120
"""A larger image is relabelled whole once the hand has rested for so long."""
_PAUSE_MS = 10


class Made(NamedTuple):
    """A run, a copy of its labels for a layer to own, and how they differ from those on screen."""

    run: Run
    shown: Int32Array
    pixels: Delta


class LiveUpdater(QObject):
    """Keeps the result layer in step with the post-processing settings of the session.

    ``updated(Run)`` is emitted after the whole image was relabelled, ``failed(CellsegError)`` when
    the settings do not fit the maps.
    """

    updated = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        result: ResultLayer,
        runner: JobRunner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._result = result
        self._preview: LabelsLayer | None = None
        self._adopted: Run | None = None  # what is on its way to replace the run of the session
        self._parts = LatestJob(runner, self)
        self._wholes = LatestJob(runner, self)
        self._parts.failed.connect(self.failed)
        self._wholes.failed.connect(self.failed)
        result.edited.connect(self._on_edited)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self._submit_whole)
        self._shown = QTimer(self)  # until the preview goes, at another turn of the event loop
        self._shown.setSingleShot(True)
        self._shown.timeout.connect(self._on_shown)

    @property
    def busy(self) -> bool:
        """Whether an update is under way."""
        timed = self._settle.isActive() or self._shown.isActive()
        return timed or self._parts.busy or self._wholes.busy

    def refresh(self) -> None:
        """Show the result under the present settings."""
        run = self._session.run
        if run is None or not self._result.is_ours:
            return
        if run.labels.size <= WHOLE_AT_ONCE:
            self._submit_whole()
            return
        self._submit_part(run)
        self._settle.start(SETTLE_MS)

    def stop(self) -> None:
        """Forget all updates that are under way."""
        self._settle.stop()
        self._shown.stop()
        self._parts.clear()
        self._wholes.clear()
        self._adopted = None
        self._end_preview()

    def _submit_part(self, run: Run) -> None:
        layer, post = self._result.layer, self._session.recipe.post
        axes = self._result.axes
        box = geometry.view_box(layer, axes, self._viewer.dims.point)
        index = tuple(box[axis].start for axis in "TZ" if axis in box)
        region = box["Y"], box["X"]
        decided = self._result.decided()

        def work() -> UInt16Array:
            there = None if decided is None else decided.part(index, region)
            return preview.numbers_to_preview(run.part(post, index, region, there))

        self._parts.submit(single_step(work), lambda small: self._show_part(run, box, small))

    def _show_part(self, run: Run, box: geometry.Box, small: Any) -> None:
        if self._session.run is not run or not self._result.is_ours or not self.busy:
            return
        self._preview = preview.show_preview(
            self._viewer, self._result.layer, self._result.axes, box, small, self._preview
        )

    def _on_edited(self) -> None:
        """Show an edit in the preview, which lies over the labels that it was made in."""
        run = self._session.run
        if self._preview is not None and run is not None and self._result.is_ours:
            self._submit_part(run)

    def adopt(self, new: Run) -> None:
        """Replace the result by a run of the same part, keeping what a person decided."""
        self._adopted = new
        self._submit_whole()

    def _submit_whole(self) -> None:
        """Label the whole under the settings of now, from the maps of a run on its way if any."""
        old, post = self._session.run, self._session.recipe.post
        decided, last = self._result.decided(), self._result.last_step
        if old is None or decided is None:
            return
        source, version = self._adopted or old, self._result.version
        self._wholes.submit(
            lambda: _compared(old, source.relabelled(post, decided), decided, last),
            lambda made: self._take(old, made, version),
        )

    def _take(self, old: Run, made: Made, version: int) -> None:
        """Show a new run, unless the user changed something that it does not know."""
        layer = self._result.layer
        if layer is None or not self._result.is_ours:
            return
        if layers.stroke_in_progress(layer):
            QTimer.singleShot(50, lambda: self._take(old, made, version))
            return
        if self._session.run is not old or self._result.version != version:
            self._submit_whole() if self._adopted else self.refresh()
            return
        if self._adopted is not None and self._adopted.planes is made.run.planes:
            self._adopted = None
        self._session.accept(made.run)
        self._result.update(old, made.run, made.shown, made.pixels, step_name(old, made.run))
        self._shown.start(_PAUSE_MS)
        self.updated.emit(made.run)

    def _on_shown(self) -> None:
        if not (self._settle.isActive() or self._wholes.busy):
            self._end_preview()

    def _end_preview(self) -> None:
        if self._preview is not None:
            preview.end_preview(self._viewer, self._preview, self._result.layer)
            self._preview = None


def _compared(
    old: Run, work: Generator[Progress, None, Run], decided: Decided, last: Step | None
) -> Generator[Progress, None, Made]:
    """Add what the window would take too long for: a copy of the labels, and what changes."""
    run = yield from work
    pixels = Delta.between(decided.labels, run.labels)
    pixels.ids  # noqa: B018 - found here, and known from then on
    if last is not None and last.name == step_name(old, run):
        last.pixels.then(pixels)  # likewise: both will be one step
    return Made(run, run.labels.copy(), pixels)


def step_name(old: Run, new: Run) -> str:
    """Return what the history calls the step from one run to another."""
    if old.planes is not new.planes:
        return "Run again"
    fields = type(new.recipe.post).model_fields
    changed = [
        str(field.title or name)
        for name, field in fields.items()
        if getattr(old.recipe.post, name) != getattr(new.recipe.post, name)
    ]
    return changed[0] if len(changed) == 1 else "Settings"
