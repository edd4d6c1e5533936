"""The tab Batch: connects its widgets with files, layers, the recipe and the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog

from napari_cellseg.core.batch.queue import State
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.gui.batch.choices import Choices, TakenUp
from napari_cellseg.gui.batch.listing import LAYER_GONE, Listing
from napari_cellseg.gui.batch.runs import BatchRuns, Order, summary
from napari_cellseg.gui.batch.showing import Showing
from napari_cellseg.gui.boxes.batch_order import show
from napari_cellseg.gui.boxes.batch_view import BatchView
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.layers import image_layers
from napari_cellseg.gui.panel_registry import PANELS, Panel
from napari_cellseg.gui.preferences import read_preferences

if TYPE_CHECKING:
    from napari_cellseg.core.batch.queue import Queue
    from napari_cellseg.core.batch.results import BatchResult


@PANELS.register("batch")
class BatchPanel(Panel):
    """The same recipe over many images.

    Parameters
    ----------
    napari_viewer
        The viewer that the tab works in.
    """

    title = "Batch"
    place = 4

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._preferences = read_preferences()
        self._written_to: Path | None = None
        self.runner = JobRunner(self)
        self.view = view = BatchView()
        self.listing = Listing(napari_viewer, self.runner, view.images, self)
        desk = desk_of(napari_viewer)
        self.choices = Choices(desk, self.runner, view.order, self._preferences, self)
        self.runs = BatchRuns(napari_viewer, self.runner, self)
        self.showing = Showing(napari_viewer, self.runner, self)
        self.setWidget(view)
        self._connect_choices()
        self._connect_run()
        self._follow()

    def _connect_choices(self) -> None:
        images, order = self.view.images, self.view.order
        images.files_requested.connect(self._on_files)
        images.folder_requested.connect(self._on_folder)
        images.open_requested.connect(self.open_result)
        order.axes.textChanged.connect(self._on_axes)
        self.listing.changed.connect(self._on_listed)
        self.listing.layer_gone.connect(lambda row: self.runs.cancel(row, LAYER_GONE))
        self.choices.changed.connect(self._follow)
        self.choices.taken_up.connect(self._on_taken_up)
        for part in (self.listing, self.choices, self.showing):
            part.told.connect(self._tell)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(lambda _: self.listing.offer_layers())

    def _connect_run(self) -> None:
        images, order, runs = self.view.images, self.view.order, self.runs
        order.start_requested.connect(self.start)
        order.cancel_requested.connect(self._on_cancel_all)
        order.failed_requested.connect(self.show_next_failed)
        images.cancel_requested.connect(self._on_cancel)
        runs.started.connect(self._on_started)
        runs.moved.connect(self._on_moved)
        runs.finished.connect(self._on_finished)
        runs.failed.connect(self._on_failed)
        runs.cancelled.connect(lambda: self._tell("Cancelled."))
        runs.ended.connect(self._on_ended)

    # What is to be done

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Look which recipe and which layers there are."""
        super().showEvent(event)
        self.listing.offer_layers()
        self.choices.wake()

    def _on_files(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in self.choices.suffixes)
        known = f"Images ({kinds});;" if kinds else ""
        chosen, _ = QFileDialog.getOpenFileNames(self, "Add images", "", f"{known}All files (*)")
        self._add(chosen)

    def _on_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Add all images in")
        self._add([chosen] if chosen else [])

    def _add(self, chosen: list[str]) -> None:
        if chosen:
            self.listing.add_paths([Path(one) for one in chosen])

    def _on_axes(self, text: str) -> None:
        self.listing.axes = text.strip().upper()

    def _on_listed(self) -> None:
        if not self.runs.running:
            show(self.view.order.status, "")
            first = (one.path for one in self.listing.inputs if one.path is not None)
            self.choices.propose(next(first, None))
        self._follow()

    def why_not(self) -> str:
        """Return what keeps a batch from starting, "" if nothing does."""
        if self.listing.searching:
            return "The files are being looked at."
        if not self.listing.inputs:
            return "Add images first."
        if self.choices.folder is None:
            return "Choose a folder for the results."
        if self.choices.recipe is None:
            return "There is no recipe yet: choose a model in the tab Segment, or a recipe file."
        return ""

    def _follow(self) -> None:
        self.view.order.allow(self.why_not())

    def _on_taken_up(self, found: TakenUp) -> None:
        """List what a batch was to do, and go on with it."""
        from napari_cellseg.core.batch.names import file_name  # loaded by now

        self.listing.take(found.plan.inputs())
        there = {file_name(layer.name): layer for layer in image_layers(self._viewer)}
        wanted = found.plan.layers
        self.listing.add_layers([there[name] for name in wanted if name in there])
        missing = [name for name in wanted if name not in there]
        if missing:
            text = f"Left out, because no layer of that name is open: {', '.join(missing)}."
            self._tell(f"{text} Press Start to go on.")
        elif wanted:
            self._tell("Press Start to go on.")  # once the layers are looked at
        elif not self.why_not():
            self.start()

    # The run

    def start(self) -> None:
        """Do all images of the list."""
        reason, folder, recipe = self.why_not(), self.choices.folder, self.choices.recipe
        if reason or folder is None or recipe is None:
            self._tell(reason)
            return
        self._tell("")
        order = Order(
            self.listing.inputs,
            recipe,
            folder,
            self.view.order.settings,
            self.listing.axes,
            self.choices.device,
            self._preferences.runtime.threads,
        )
        self._written_to = folder
        self.runs.start(order)

    def _on_started(self) -> None:
        self.listing.freeze(True)
        self.view.order.show_running(True)
        show(self.view.order.status, "Starting…")
        self._follow()

    def _on_moved(self, queue: Queue) -> None:
        self.listing.show_items(queue.items)
        if self.view.order.start.isEnabled():  # not while it is being cancelled
            failed = queue.counts()[State.FAILED]
            left = queue.seconds_left()
            self.view.order.show_progress(queue.settled, len(queue), left, failed)

    def _on_cancel(self, rows: list[int]) -> None:
        for row in rows:
            self.runs.cancel(row)

    def _on_cancel_all(self) -> None:
        self.view.order.show_cancelling()
        self.runs.cancel_all()

    def _on_finished(self, result: BatchResult) -> None:
        self._tell(summary(result))
        self.view.order.again.setChecked(False)  # once is meant

    def _on_failed(self, error: CellsegError) -> None:
        self._tell(str(error))
        show_error(str(error))

    def _on_ended(self) -> None:
        self.listing.freeze(False)
        self.listing.offer_layers()
        order, rows = self.view.order, self.listing.rows
        order.show_running(False)
        order.show_counts([row.item for row in rows if row.item is not None])
        self._follow()

    def show_next_failed(self) -> None:
        """Select the next row that failed, after the one that is selected."""
        failed = [place for place, row in enumerate(self.listing.rows) if row.failed]
        if failed:
            last = max(self.view.images.selected(), default=-1)
            self.view.images.select(next((one for one in failed if one > last), failed[0]))

    # What came out

    def open_result(self, place: int) -> None:
        """Open image and labels of a finished row in the viewer."""
        row = self.listing.rows[place]
        if row.item is not None and row.has_result and self._written_to is not None:
            one = row.item.input  # with the name of its results
            self.showing.open(one, self._written_to, self.listing.layer_of(row.input))

    def _tell(self, text: str) -> None:
        show(self.view.order.message, text)

    def shut_down(self) -> None:
        """Stop soon; what is finished stays, and the next start goes on from there."""
        self.runs.shut_down()
