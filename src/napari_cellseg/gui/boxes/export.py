"""Writes the labels: the format, its settings, and how far the writing is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_cellseg.core.components import Params
from napari_cellseg.gui.elided_combo import ElidedCombo
from napari_cellseg.gui.form import Form


class ExportBox(QWidget):
    """Exports on request.

    Signals: ``format_chosen(str)`` with its name, ``export_requested()``,
    ``cancel_requested()``.
    """

    format_chosen = Signal(str)
    export_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.form: Form | None = None
        self.combo = ElidedCombo()
        self.combo.setAccessibleName("Format to export")
        self.combo.setToolTip("In which format the labels, or their measurements, are written.")
        self.combo.activated.connect(lambda _: self.format_chosen.emit(self.format))
        self.button = QPushButton()
        self.button.clicked.connect(self._on_clicked)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setAccessibleName("Progress of the export")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setAccessibleName("Message about the export")
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.combo, self.button, self.bar, self.message):
            self._column.addWidget(widget)
        self.show_formats([], "")
        self.show_running(False)
        self.show_message("")

    @property
    def format(self) -> str:
        """Name of the chosen format, "" while there is none."""
        return str(self.combo.currentData() or "")

    def _on_clicked(self) -> None:
        (self.cancel_requested if self._running else self.export_requested).emit()

    def show_formats(self, formats: Sequence[tuple[str, str]], chosen: str) -> None:
        """List formats by name and title."""
        blocked = self.combo.blockSignals(True)
        self.combo.clear()
        for name, title in formats:
            self.combo.addItem(title, name)
        if not formats:
            self.combo.addItem("Looking for the formats…", "")
        self.combo.setCurrentIndex(max(self.combo.findData(chosen), 0))
        self.combo.setEnabled(bool(formats))
        self.button.setEnabled(bool(formats))
        self.combo.blockSignals(blocked)

    def show_settings(self, params: Params | None, hidden: Collection[str] = ()) -> None:
        """Show the settings of the chosen format, if it has any, but for the hidden ones."""
        if self.form is not None:
            self._column.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
            self.form = None
        if params is not None and type(params).model_fields:
            self.form = Form(params)
            self.form.hide_fields(hidden)
            self._column.insertWidget(1, self.form)

    def show_running(self, on: bool) -> None:
        """Show that a file is written, or how to start."""
        self._running = on
        self.button.setText("Cancel" if on else "Export…")
        self.button.setAccessibleName("Cancel the export" if on else "Export")
        self.button.setToolTip(
            "Stop before the file is written." if on else "Choose a file and write it."
        )
        self.bar.setVisible(on)

    def show_message(self, text: str) -> None:
        """Show a sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))
