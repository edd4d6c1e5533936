"""The widgets of the tab Measure & export, in their groups."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.compare import CompareBox
from napari_cellseg.gui.boxes.export import ExportBox
from napari_cellseg.gui.boxes.group import group
from napari_cellseg.gui.boxes.histogram import HistogramBox
from napari_cellseg.gui.boxes.measure import MeasureBox
from napari_cellseg.gui.boxes.measure_table import MeasureTableBox


class MeasureView(QWidget):
    """Lays the parts out; connects nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.measure = MeasureBox()
        self.table = MeasureTableBox()
        self.histogram = HistogramBox()
        self.export = ExportBox()
        self.compare = CompareBox()
        self._objects = group("Objects", self.table, self.histogram)
        self._export = group("Export", self.export)
        self._compare = group("Compare", self.compare)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        for box in (group("Measure", self.measure), self._objects, self._export, self._compare):
            column.addWidget(box)
        column.addStretch(1)
        self.show_table(False)

    def show_table(self, on: bool) -> None:
        """Show the objects, or not: nothing is measured."""
        self._objects.setVisible(on)

    def allow(self, on: bool) -> None:
        """Let labels be exported and compared, or not: there are none."""
        for box in (self._export, self._compare):
            box.setEnabled(on)
