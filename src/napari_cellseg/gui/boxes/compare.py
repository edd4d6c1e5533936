"""Compares the labels with a reference: which one, from which overlap on, and the button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.agreement.object_errors import ErrorSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.boxes.compare_result import CompareResultBox
from napari_cellseg.gui.boxes.group import wide_button
from napari_cellseg.gui.elided_combo import ElidedCombo
from napari_cellseg.gui.form import Form


class CompareBox(QWidget):
    """Compares on request; `results` show what was found.

    Signals: ``file_requested()``, ``compare_requested()``, ``cancel_requested()``.
    """

    file_requested = Signal()
    compare_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.combo = ElidedCombo(Qt.TextElideMode.ElideMiddle)
        self.combo.setAccessibleName("Reference to compare with")
        self.combo.setToolTip("What the labels should be: another labels layer, or a file.")
        self.file = wide_button("From file…", "Compare with a file of labels, regions or polygons.")
        self.file.clicked.connect(lambda: self.file_requested.emit())
        self.form = Form(ErrorSettings())
        self.button = QPushButton()
        self.button.clicked.connect(self._on_clicked)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the comparison")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setAccessibleName("Message about the comparison")
        self.results = CompareResultBox()
        self._lay_out()
        self.show_references([], None)
        self.show_running(False)
        self.show_message("")

    def _lay_out(self) -> None:
        choice = QHBoxLayout()
        choice.addWidget(self.combo, 3)
        choice.addWidget(self.file, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(choice)
        for widget in (self.form, self.button, self.bar, self.message, self.results):
            column.addWidget(widget)

    @property
    def reference(self) -> LabelsLayer | Path | None:
        """What is chosen to compare with."""
        found: LabelsLayer | Path | None = self.combo.currentData()
        return found

    @property
    def settings(self) -> ErrorSettings:
        """What counts as an error."""
        found: ErrorSettings = self.form.params
        return found

    def _on_clicked(self) -> None:
        (self.cancel_requested if self._running else self.compare_requested).emit()

    # What is shown

    def show_references(
        self,
        references: Sequence[tuple[str, LabelsLayer | Path]],
        chosen: LabelsLayer | Path | None,
    ) -> None:
        """List by title what to compare with, and mark the chosen one."""
        blocked = self.combo.blockSignals(True)
        self.combo.clear()
        for title, reference in references:
            self.combo.addItem(title, reference)
        if not references:
            self.combo.addItem("No other labels", None)
        places = [k for k, (_, one) in enumerate(references) if one is chosen]
        self.combo.setCurrentIndex(places[0] if places else 0)
        self.combo.setEnabled(bool(references))
        self.combo.blockSignals(blocked)
        self.button.setEnabled(bool(references) or self._running)

    def show_running(self, on: bool) -> None:
        """Show the progress, or how to start."""
        self._running = on
        self.button.setText("Cancel" if on else "Compare")
        self.button.setAccessibleName("Cancel the comparison" if on else "Compare")
        self.button.setToolTip(
            "Stop; nothing changes." if on else "Score the labels against the reference."
        )
        self.button.setEnabled(on or self.combo.isEnabled())
        self.bar.setVisible(on)
        self.bar.setRange(0, 0)

    def show_progress(self, step: Progress) -> None:
        """Show how far it is."""
        self.bar.setRange(0, step.total)
        self.bar.setValue(step.done)

    def show_message(self, text: str) -> None:
        """Show a sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))
