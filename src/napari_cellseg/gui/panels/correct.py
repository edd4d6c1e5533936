"""The tab Correct: connects its widgets with the labels and the tools."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer
from qtpy.QtGui import QHideEvent, QShowEvent

from napari_cellseg.core.editing.ready import load_slow_parts
from napari_cellseg.core.wording import counted
from napari_cellseg.gui.boxes.correct_view import CorrectView
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.fit import Fit
from napari_cellseg.gui.correct.hand import Hand
from napari_cellseg.gui.correct.journals import journals_of
from napari_cellseg.gui.correct.outlines import Outlines
from napari_cellseg.gui.correct.renumbering import Renumbering
from napari_cellseg.gui.correct.review import ReviewGuide
from napari_cellseg.gui.correct.reviewed import Reviewed
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.gui.layers import labels_layers
from napari_cellseg.gui.panel_registry import PANELS, Panel
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.recovery import Found

_REST_MS = 150
"""A plane's objects are counted once the slider has rested for so long."""


@PANELS.register("correct")
class CorrectPanel(Panel):
    """From labels to right labels.

    Parameters
    ----------
    napari_viewer
        The viewer that the tab works in.
    """

    title = "Correct"
    place = 1

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._looked = False
        self._moved = QTimer(self)
        self._moved.setSingleShot(True)
        self._moved.setInterval(_REST_MS)
        self._moved.timeout.connect(self._show_state)
        self.runner = JobRunner(self)
        self.bench = Workbench(napari_viewer, self)
        self.hand = Hand(self.bench, self)
        self.journals = journals_of(desk_of(napari_viewer))
        self.view = CorrectView(self.hand.tools.items())
        self.review = ReviewGuide(self.bench, self.runner, self.view.review, self)
        self.reviewed = Reviewed(self.bench, self.runner, self.view.reviewed, self)
        self.outlines = Outlines(self.bench, self.runner, self.view.outlines, self)
        self.fit = Fit(self.bench, self.runner, self.view.fit, self.reviewed.mask, self)
        self.renumbering = Renumbering(self.bench, self.runner, self)
        self.setWidget(self.view)
        self._connect()
        self._on_changed(None)

    def _connect(self) -> None:
        view, bench, hand = self.view, self.bench, self.hand
        view.labels.chosen.connect(self._on_labels_chosen)
        view.labels.undo_requested.connect(bench.undo)
        view.labels.redo_requested.connect(bench.redo)
        view.labels.renumber_requested.connect(self.renumbering.start)
        view.tools.chosen.connect(hand.choose)
        view.tools.options_changed.connect(hand.set_options)
        hand.chosen.connect(view.tools.show_chosen)
        bench.changed.connect(self._on_changed)
        bench.stepped.connect(self._on_stepped)
        bench.told.connect(view.tools.show_message)
        self.review.failed.connect(lambda error: view.tools.show_message(str(error)))
        view.recovery.recover_requested.connect(self._on_recover)
        view.recovery.discard_requested.connect(self.journals.discard)
        self.journals.found.connect(view.recovery.show_found)
        self.journals.failed.connect(show_warning)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._on_layers)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self._viewer.dims.events.current_step.connect(self._on_slice)
        for layer in labels_layers(self._viewer):
            layer.events.name.connect(self._on_layers)

    # Which labels

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Take up the labels that are selected when the tab is looked at."""
        super().showEvent(event)
        self._on_layers()
        self._take_selected()
        self._show_state()
        if not self._looked:
            self._looked = True
            self.journals.look()
            self.runner.create(single_step(load_slow_parts)).start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Put the tool down: another tab is looked at."""
        if not event.spontaneous():
            self.hand.choose("")
        super().hideEvent(event)

    def _on_recover(self, found: Found) -> None:
        self.journals.recover(found, self._viewer)

    def _take_selected(self) -> None:
        active, layers = self._viewer.layers.selection.active, labels_layers(self._viewer)
        if active in layers:
            self.bench.take(active)
        elif layers and self.bench.binding is None:
            self.bench.take(layers[0])

    def _on_layers(self, event: Any = None) -> None:
        self.view.labels.show_layers(labels_layers(self._viewer), self.bench.layer)
        if getattr(event, "type", "") == "inserted":
            event.value.events.name.connect(self._on_layers)

    def _on_active(self, event: Any) -> None:
        if self.isVisible() and event.value in labels_layers(self._viewer):
            self.bench.take(event.value)

    def _on_labels_chosen(self, layer: LabelsLayer | None) -> None:
        self.bench.take(layer)
        if layer is not None:
            self._viewer.layers.selection.active = layer

    def _on_changed(self, binding: Binding | None) -> None:
        self._on_layers()
        self.view.allow(binding is not None)
        self._show_state()

    # What is done

    def _on_stepped(self, step: Step) -> None:
        self._show_state()

    def _on_slice(self) -> None:
        if self.isVisible():
            self._moved.start()

    def _show_state(self) -> None:
        binding, labels = self.bench.binding, self.view.labels
        if binding is None:
            labels.show_status("")
            labels.show_history("", "")
            labels.renumber.setEnabled(False)
            return
        labels.renumber.setEnabled(True)
        document = binding.document
        labels.show_history(document.history.undo_name, document.history.redo_name)
        here = len(document.objects(self.bench.index()))
        where = " on this plane" if document.labels.ndim > 2 else ""
        accepted = len(document.states.where("accepted"))
        edited = len(document.states.where("edited"))
        labels.show_status(
            f"{counted(here, 'object')}{where}; {edited} edited, {accepted} accepted."
        )

    def shut_down(self) -> None:
        """Put the tool down and cancel what runs."""
        self.hand.choose("")
        self.hand.large.stop()
        self.review.stop()
        self.reviewed.shut_down()
        self.outlines.shut_down()
        self.runner.cancel_all()
