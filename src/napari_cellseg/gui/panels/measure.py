"""The tab Measure & export: connects its widgets with labels, images and files."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtGui import QHideEvent, QShowEvent

from napari_cellseg.gui.boxes.measure_view import MeasureView
from napari_cellseg.gui.compare.compare import Compare
from napari_cellseg.gui.finetune.colours import follow_theme
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.measure.export import Export
from napari_cellseg.gui.measure.measuring import Measuring
from napari_cellseg.gui.measure.objects import ObjectsTable
from napari_cellseg.gui.measure.picking import Picking
from napari_cellseg.gui.measure.plot import Plot
from napari_cellseg.gui.measure.selection import Selection
from napari_cellseg.gui.measure.subject import Subject
from napari_cellseg.gui.panel_registry import PANELS, Panel


@PANELS.register("measure")
class MeasurePanel(Panel):
    """From labels to numbers and files.

    Parameters
    ----------
    napari_viewer
        The viewer that the tab works in.
    """

    title = "Measure & export"
    short = "Measure"
    place = 3

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.runner = JobRunner(self)
        self.view = view = MeasureView()
        self.subject = Subject(napari_viewer, self)
        self.selection = Selection(self)
        self.measuring = Measuring(self.subject, self.selection, self.runner, view.measure, self)
        self.objects = ObjectsTable(self.selection, view.table, self)
        self.picking = Picking(self.subject, self.selection, self.runner, self)
        self.plot = Plot(napari_viewer, self.selection, self.runner, view.histogram, self)
        self.export = Export(
            self.subject, self.measuring, self.runner, view.export, view.measure, self
        )
        self.compare = Compare(self.subject, self.runner, view.compare, self)
        self.setWidget(view)
        self._connect()

    def _connect(self) -> None:
        view, subject = self.view, self.subject
        view.measure.chosen.connect(self._on_labels_chosen)
        view.measure.ticked.connect(subject.images.tick)
        subject.changed.connect(self._show_layers)
        subject.listed.connect(self._on_listed)
        self.selection.table_changed.connect(self._on_table)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        follow_theme(self._viewer, self._on_theme)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Take up the labels that are selected, and link table and viewer."""
        super().showEvent(event)
        self.subject.take_selected()
        self._on_listed()
        self.picking.wake()
        self.compare.wake()
        self.export.wake()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the viewer to other tabs; what runs goes on."""
        if not event.spontaneous():
            self.picking.sleep()
            self.compare.sleep()
        super().hideEvent(event)

    def _on_listed(self) -> None:
        if self.isVisible():
            self.subject.look()
            self._show_layers()

    def _on_active(self, event: Any) -> None:
        if self.isVisible() and event.value in self.subject.choices():
            self.subject.take(event.value)

    def _on_labels_chosen(self, layer: LabelsLayer | None) -> None:
        self.subject.take(layer)
        if layer is not None:
            self._viewer.layers.selection.active = layer

    def _show_layers(self) -> None:
        subject, box = self.subject, self.view.measure
        box.show_layers(subject.choices(), subject.layer)
        images = subject.images
        box.show_images([(f.layer, f.axes, images.is_ticked(f.layer)) for f in images.fitting])
        self.view.allow(subject.layer is not None)

    def _on_table(self) -> None:
        self.view.show_table(self.selection.table is not None)

    def _on_theme(self) -> None:
        self.plot.follow_theme()
        self.compare.follow_theme()

    def shut_down(self) -> None:
        """Leave the viewer alone and cancel what runs."""
        self.picking.sleep()
        self.compare.sleep()
        self.measuring.cancel()
        self.runner.cancel_all()
