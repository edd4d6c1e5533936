"""A histogram of one column or a scatter plot of two, in which a drag selects objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.objects_model import title
from napari_cellseg.gui.boxes.plot_area import PlotArea
from napari_cellseg.gui.elided_combo import ElidedCombo

COUNT = ""
"""The choice of no second column."""
_HEIGHT = 170  # px
_DOT = 4  # px
FloatArray = npt.NDArray[np.float64]


class HistogramBox(QWidget):
    """Signals: ``columns_chosen()``, ``dragged(x0, x1, y0, y1)``, ``cleared()``."""

    columns_chosen = Signal()
    dragged = Signal(float, float, float, float)
    cleared = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.across = _combo("Across", "The column along the horizontal axis.")
        self.up = _combo("Up", "Number of objects for a histogram; a second column for a scatter.")
        for combo in (self.across, self.up):
            combo.activated.connect(lambda _: self.columns_chosen.emit())
        self.area = PlotArea(
            "Plot of the measurements",
            "Drag over the plot to select objects; click it to select none.",
            _HEIGHT,
        )
        self.area.dragged.connect(self.dragged)
        self.area.clicked.connect(self.cleared)
        self.note = QLabel()
        self.note.setWordWrap(True)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Across", self.across)
        form.addRow("Up", self.up)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addWidget(self.area)
        column.addWidget(self.note)
        self._items: list[Any] = []
        self.show_note("")

    @property
    def columns(self) -> tuple[str, str]:
        """The chosen columns; the second is `COUNT` for a histogram."""
        return str(self.across.currentData() or ""), str(self.up.currentData() or COUNT)

    def show_columns(self, names: Sequence[str]) -> None:
        """List the columns to choose from; what is chosen stays, if it can."""
        across, up = self.columns
        for combo, first, chosen in ((self.across, [], across), (self.up, [COUNT], up)):
            blocked = combo.blockSignals(True)
            combo.clear()
            for name in (*first, *names):
                combo.addItem(title(name) if name else "number of objects", name)
            combo.setCurrentIndex(max(combo.findData(chosen), 0))
            combo.blockSignals(blocked)

    def show_note(self, text: str) -> None:
        """Show a sentence below the plot; "" hides the line."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def clear(self) -> None:
        """Draw nothing."""
        for item in self._items:
            self.area.plot.removeItem(item)
        self._items = []

    def draw_histogram(self, edges: FloatArray, counts: FloatArray, selected: FloatArray) -> None:
        """Draw bars, with the share of the selected objects in them.

        Parameters
        ----------
        edges
            Of the bins, (N + 1,).
        counts, selected
            Objects, and selected objects, in each bin, (N,).
        """
        self.clear()
        library = self.area.library
        for values, which, opacity in ((counts, 0, 0.45), (selected, 1, 1.0)):
            item = library.BarGraphItem(
                x0=edges[:-1],
                x1=edges[1:],
                height=values,
                brush=self.area.brush(which, opacity),
                pen=None,
            )
            self._add(item)
        self._label("number of objects")
        self.area.plot.setXRange(edges[0], edges[-1], padding=0.02)
        self.area.plot.setYRange(0, max(float(counts.max(initial=0)), 1), padding=0.02)

    def draw_scatter(self, x: FloatArray, y: FloatArray, selected: npt.NDArray[np.bool_]) -> None:
        """Draw a dot an object, the selected ones above the others."""
        self.clear()
        library = self.area.library
        for some, which, opacity in ((~selected, 0, 0.5), (selected, 1, 1.0)):
            item = library.ScatterPlotItem(
                x=x[some], y=y[some], size=_DOT, pen=None, brush=self.area.brush(which, opacity)
            )
            self._add(item)
        self._label(title(self.columns[1]))
        for values, set_range in ((x, self.area.plot.setXRange), (y, self.area.plot.setYRange)):
            if values.size:
                set_range(float(values.min()), float(values.max()), padding=0.05)

    def _add(self, item: Any) -> None:
        self.area.plot.addItem(item)
        self._items.append(item)

    def _label(self, up: str) -> None:
        self.area.plot.setLabel("bottom", title(self.columns[0]))
        self.area.plot.setLabel("left", up)


def _combo(name: str, tip: str) -> QComboBox:
    combo = ElidedCombo()
    combo.setAccessibleName(name)
    combo.setToolTip(tip)
    return combo
