"""The tab Segment: connects its widgets with the session, the workers and the viewer."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import QAbstractSpinBox

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.gui import layers
from napari_cellseg.gui.boxes.segment_view import SegmentView
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.panel_registry import PANELS, Panel, come_forward
from napari_cellseg.gui.preferences import read_preferences
from napari_cellseg.gui.saved.taken_up import TakenUp
from napari_cellseg.gui.segment.choices import command_text, summary, told_at_once, why_not
from napari_cellseg.gui.segment.choosing import Choosing
from napari_cellseg.gui.segment.highlight import RemovedObjects
from napari_cellseg.gui.segment.live import LiveUpdater
from napari_cellseg.gui.segment.network import Fresh, NetworkRuns, Request
from napari_cellseg.gui.segment.result import ResultLayer
from napari_cellseg.gui.segment.scope import chosen_part
from napari_cellseg.gui.segment.warm_up import WarmUp
from napari_cellseg.session.run import Run
from napari_cellseg.session.session import Session

_SELECTED_MS = 50
_WARM_UP_MS = 400  # after the window has drawn itself


@PANELS.register("segment")
class SegmentPanel(Panel):
    """From an image to labels.

    Parameters
    ----------
    napari_viewer
        The viewer that the tab works in.
    """

    title = "Segment"
    place = 0

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._preferences = read_preferences()
        self._request: Request | None = None
        self.session = Session()
        self.desk = desk_of(napari_viewer)
        self.runner = JobRunner(self)
        self.result = ResultLayer(napari_viewer, self)
        self.network = NetworkRuns(napari_viewer, self.runner, self)
        self.live = LiveUpdater(napari_viewer, self.session, self.result, self.runner, self)
        self.removed = RemovedObjects(napari_viewer, self.session, self.result, self)
        self.warm_up = WarmUp(self.runner, self)
        self.taken_up = TakenUp(napari_viewer, self.runner, self)
        self.view = SegmentView(napari_viewer)
        self.choosing = Choosing(
            napari_viewer, self.session, self.network, self.view, self._preferences, self
        )
        self.setWidget(self.view)
        self._connect_choices()
        self._connect_work()
        self._begin()

    def _connect_choices(self) -> None:
        view, choosing = self.view, self.choosing
        choosing.changed.connect(self._follow_state)
        choosing.failed.connect(self.show_failure)
        self.desk.opened.emit()  # before anything of this one is connected
        self.desk.opened.connect(self._on_another_opened)
        self.desk.run_requested.connect(self._on_run_requested)
        view.run.device_changed.connect(self._on_device)
        view.run.scope_changed.connect(lambda scope: self.session.change(scope=scope))
        view.live.changed.connect(self._on_post)
        view.live.highlight_requested.connect(self.removed.show)
        view.live.colour_requested.connect(self._on_colour)
        view.live.failed.connect(self.show_failure)
        view.copy.clicked.connect(self._on_copy)

    def _connect_work(self) -> None:
        run = self.view.run
        run.run_requested.connect(self.run)
        run.cancel_requested.connect(self._on_cancel)
        self.network.progressed.connect(run.show_progress)
        self.network.succeeded.connect(self._on_succeeded)
        self.network.failed.connect(self.show_failure)
        self.network.cancelled.connect(run.show_message)
        self.network.finished.connect(self._on_finished)
        self.live.updated.connect(self._show_result)
        self.live.failed.connect(self.show_failure)
        self.removed.restored.connect(self.live.refresh)
        self.taken_up.ready.connect(self._on_taken_up)
        self.taken_up.failed.connect(self.show_failure)
        self.result.lost.connect(self._on_result_lost)
        self.result.went_back.connect(self._on_went_back)
        self.result.fitted.connect(self._on_fitted)
        self.warm_up.told.connect(run.show_device_note)

    def _begin(self) -> None:
        run = self.view.run
        run.show_device_note("")
        run.device.setCurrentIndex(run.device.findData(self._preferences.runtime.device))
        self.choosing.begin()
        self._show_result(None)
        self._take_up(self.result.earlier())  # by a tab that was closed
        self._viewer.layers.selection.events.active.connect(self._on_selected)

    def _on_run_requested(self) -> None:
        come_forward(self)
        self.run()

    def _on_device(self, device: str) -> None:
        self.session.change(device=device)
        self.warm_up.choose_device(device)

    def _on_post(self, post: Any) -> None:
        self.session.change_recipe(post=post)
        self.live.refresh()

    def _on_colour(self, on: bool) -> None:
        self.result.colour_by_class(on, self.session.run)

    # Running

    def _follow_state(self) -> None:
        reason = why_not(self.view.image, self.view.model)
        self.view.run.allow(not reason, reason)

    def run(self) -> None:
        """Segment what is chosen."""
        typing = self.focusWidget()
        if isinstance(typing, QAbstractSpinBox):
            typing.interpretText()  # what was typed counts, though Enter was not pressed
        reason = why_not(self.view.image, self.view.model)
        if reason:
            self.view.run.show_message(reason)
            return
        image, settings = self.view.image, self.session.settings
        try:
            part = chosen_part(self._viewer, image.layer, image.axes, settings.scope)
            self._request = Request(
                image.layer,
                image.axes,
                part,
                settings.recipe,
                settings.device,
                self._preferences.runtime.threads,
            )
            self.network.start(self._request)
        except CellsegError as error:
            self.show_failure(error)
            return
        self.view.run.show_running()

    def run_active_layer(self) -> None:
        """Choose the selected image and the default model, and run."""
        active = layers.active_image(self._viewer)
        if active is not None:
            self.view.image.choose(active)
        self.view.model.choose(self._preferences.models.default)
        self.run()

    def _on_cancel(self) -> None:
        self.view.run.show_cancelling()
        self.network.cancel()

    def _on_succeeded(self, request: Request, fresh: Fresh) -> None:
        run = fresh.run
        self.view.run.show_message(told_at_once(run))
        if self.session.run is not None and self.result.continues(request):
            self.live.adopt(run)
            return
        self.live.stop()
        self.removed.hide()
        earlier = self.result.earlier(request)
        if earlier is not None and earlier.run is not None:  # what was corrected in it stays
            before = earlier.run.with_labels(earlier.document.decided())
            self.result.adopt(earlier.layer, before, earlier.origin)
            self.session.accept(before)
            self.live.adopt(run)
            return
        self.session.accept(run)
        self.result.show(fresh, request)
        self._show_result(run)
        if run.recipe.post != self.session.recipe.post:
            self.live.refresh()

    def _on_finished(self) -> None:
        self.view.run.show_idle()
        self._follow_state()
        self._show_summary()

    def show_failure(self, error: CellsegError) -> None:
        """Say in the tab and in a notification what went wrong."""
        self.view.run.show_message(str(error))
        show_error(str(error))

    # The result

    def _show_result(self, run: Run | None) -> None:
        self.view.live.show_removed(run.removed_counts() if run is not None else {})
        self.view.copy.setEnabled(run is not None)
        self.removed.refresh()
        self._show_summary()

    def _show_summary(self) -> None:
        run = self.session.run
        if run is None or self.network.running:
            return
        self.view.run.show_status(summary(run))

    def _on_result_lost(self) -> None:
        self.live.stop()
        self.session.accept(None)
        self._show_result(None)
        if not self.network.running:
            self.view.run.show_status("")
            self.view.run.show_message("")

    def _on_went_back(self, run: Run) -> None:
        """Follow an undo or redo of sliders or of a run."""
        self.live.stop()
        self.session.accept(run)
        self.session.change_recipe(post=run.recipe.post)
        self.view.live.show_params(run.recipe.post, self.session.start.post)
        self._show_result(run)

    def _on_selected(self, event: Any = None) -> None:
        """Let sliders and all else act on the result that is selected."""
        if self.live.busy and self.result.is_ours:  # what was moved last still counts there
            QTimer.singleShot(_SELECTED_MS, self._on_selected)
        elif not self.network.running:
            self._take_up(self.result.selected())

    def _take_up(self, left: Binding | None) -> None:
        if left is not None and left.run is not None:
            shown = left.run.with_labels(left.document.decided())
            self._on_taken_up(left.layer, shown, left.origin)
            image = left.origin[0] if left.origin else None
            if image in self._viewer.layers:
                self.view.image.choose(image)

    def _on_taken_up(self, layer: Any, run: Run, origin: tuple[Any, ...]) -> None:
        """Show the run of work that was saved, as if it had just been made."""
        self.removed.hide()
        self.view.model.choose(run.recipe.model)
        self.view.model.diameter.set_pixels(run.recipe.preparation.diameter)
        self.result.adopt(layer, run, origin)
        self._on_went_back(run)

    def _on_fitted(self, post: PostParams) -> None:
        self.session.change_recipe(post=post)
        self.view.live.show_params(post, self.session.start.post)
        self.live.refresh()

    def _on_copy(self) -> None:
        run, request = self.session.run, self._request
        if run is not None and request is not None:
            text = command_text(run, request, self.session.start)
            QGuiApplication.clipboard().setText(text)
            self.view.run.show_message("The command and its recipe are on the clipboard.")

    # Coming and going

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Load the slow libraries in the background once the window has drawn itself."""
        super().showEvent(event)
        if self._preferences.runtime.warm_up:
            QTimer.singleShot(_WARM_UP_MS, self.warm_up.start)

    def _on_another_opened(self) -> None:
        """Leave labels and viewer to a new tab if the dock of this one was removed."""
        try:
            if self.window().isVisible():
                return
            self.live.stop()
        except RuntimeError:  # Qt has deleted it, and Python has not yet
            pass
        self.result.leave()
        self._viewer.layers.selection.events.active.disconnect(self._on_selected)
        self.desk.run_requested.disconnect(self._on_run_requested)
        self.desk.opened.disconnect(self._on_another_opened)

    def shut_down(self) -> None:
        """Cancel what runs; nothing is delivered any more."""
        self.network.cancel("The tab was closed: the run was cancelled.")
        self.live.stop()
        self.removed.hide()
        self.choosing.stop()
        self.warm_up.stop()
