"""The table of objects, a summary below it, and what is selected in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from napari_cellseg.core.measure.table import MeasureTable
from napari_cellseg.gui.boxes.objects_model import ObjectsModel

_HEIGHT = 230  # px
_WIDEST = 130  # px
_MOST_RANGES = 500
"""Qt needs long for a selection of more pieces; then the selected rows are brought together."""
_SAMPLE = 100  # rows from which the width of columns is taken
Rows = npt.NDArray[np.intp]


class MeasureTableBox(QWidget):
    """A row an object.

    Signals: ``selected(object)`` with the rows of the table (not of the view) that a person
    selected.
    """

    selected = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._busy = False
        self.model = ObjectsModel(self)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setAccessibleName("Measurements of the objects")
        self.view.setToolTip(
            "A row an object: click one to see it in the image. Click a title to sort; Shift and "
            "Ctrl select several."
        )
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setFixedHeight(_HEIGHT)
        self.view.setWordWrap(False)
        rows = self.view.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = self.view.horizontalHeader()
        header.setResizeContentsPrecision(_SAMPLE)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.view.setSortingEnabled(True)
        self.model.layoutAboutToBeChanged.connect(lambda: self._set_busy(True))
        self.model.layoutChanged.connect(lambda: self._set_busy(False))
        self.view.selectionModel().selectionChanged.connect(self._on_selected)
        header.sortIndicatorChanged.connect(lambda *_: self.show_selected(self._rows))
        self._rows: Rows = np.zeros(0, np.intp)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setAccessibleName("Summary of the measurements")
        self.summary.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.marked = QLabel()
        self.marked.setWordWrap(True)
        self.marked.setAccessibleName("Summary of the selected objects")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.view, self.summary, self.marked):
            column.addWidget(widget)

    def _set_busy(self, on: bool) -> None:
        self._busy = on

    def show_table(self, table: MeasureTable | None) -> None:
        """Show another table; nothing is selected then."""
        before = list(self.model.names)
        self._busy = True
        self._rows = np.zeros(0, np.intp)
        self.model.show(table)
        self._busy = False
        if self.model.names != before:
            self.view.resizeColumnsToContents()
            for k in range(len(self.model.names)):
                self.view.setColumnWidth(k, min(self.view.columnWidth(k), _WIDEST))

    def show_selected(self, rows: Rows, together: bool = False) -> None:
        """Select rows of the table, and scroll to the first.

        With `together`, or where they are many pieces, they are brought to the top.
        """
        self._busy = True
        self._rows = rows
        places = np.sort(self.model.places_of(rows))
        together = (together and rows.size > 1) or _pieces(places) > _MOST_RANGES
        if together or self.model.brought.size:
            self.model.bring_first(rows if together else rows[:0])
            self._busy = True  # a new order has reset it
            places = np.sort(self.model.places_of(rows))
        chosen = QItemSelection()
        last = self.model.columnCount() - 1
        for start, stop in _ranges(places):
            chosen.select(self.model.index(start, 0), self.model.index(stop, last))
        flags = QItemSelectionModel.SelectionFlag
        selection = self.view.selectionModel()
        selection.select(chosen, flags.ClearAndSelect | flags.Rows)
        if places.size:
            first = self.model.index(int(places[0]), 0)
            selection.setCurrentIndex(first, flags.NoUpdate)
            across = self.view.horizontalScrollBar().value()
            self.view.scrollTo(first)
            self.view.horizontalScrollBar().setValue(across)
        self._busy = False

    def show_summary(self, text: str, marked: str) -> None:
        """Tell about all objects, and about the selected ones; "" hides a line."""
        for label, words in ((self.summary, text), (self.marked, marked)):
            label.setText(words)
            label.setVisible(bool(words))

    def _on_selected(self) -> None:
        if self._busy:
            return
        places = [
            np.arange(part.top(), part.bottom() + 1)
            for part in self.view.selectionModel().selection()
        ]
        found = np.unique(np.concatenate(places)) if places else np.zeros(0, np.intp)
        self._rows = self.model.order[found]
        self.selected.emit(self._rows)


def _ranges(places: Rows) -> list[tuple[int, int]]:
    """Return first and last of each run of consecutive numbers."""
    if not places.size:
        return []
    ends = np.flatnonzero(np.diff(places) > 1)
    starts = np.concatenate([[0], ends + 1])
    stops = np.concatenate([ends, [places.size - 1]])
    return list(zip(places[starts].tolist(), places[stops].tolist(), strict=True))


def _pieces(places: Rows) -> int:
    return int(np.count_nonzero(np.diff(places) > 1)) + 1 if places.size else 0
