"""Which labels are corrected, undo and redo, and the tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.gui.elided_combo import ElidedCombo
from napari_cellseg.gui.form import Form
from napari_cellseg.gui.tools.options import ToolOptions
from napari_cellseg.gui.tools.registry import Tool

_COLUMNS = 3


class _StepButton(QPushButton):
    """A button that names a step, and as much of it as there is room for."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._whole = title

    def show_step(self, title: str, step: str) -> None:
        """Name a step, none if it is empty."""
        self._whole = f"{title}: {step}" if step else title
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Show more or less of the name."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - self.fontMetrics().averageCharWidth()
        short = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, room)
        self.setText(short if self.isVisible() else self._whole)


class LabelsBox(QWidget):
    """Chooses the labels layer; tells how far the work is; undo and redo."""

    chosen = Signal(object)
    undo_requested = Signal()
    redo_requested = Signal()
    renumber_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.combo = ElidedCombo(Qt.TextElideMode.ElideMiddle)
        self.combo.setAccessibleName("Labels to correct")
        self.combo.setToolTip("The labels layer that is corrected.")
        self.combo.activated.connect(lambda _: self.chosen.emit(self.combo.currentData()))
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.undo = self._button("Undo", "Ctrl+Z", self.undo_requested)
        self.redo = self._button("Redo", "Ctrl+Shift+Z", self.redo_requested)
        row = QHBoxLayout()
        row.addWidget(self.undo)
        row.addWidget(self.redo)
        self.renumber = QPushButton("Renumber")
        self.renumber.setAccessibleName("Renumber the objects")
        self.renumber.setToolTip(
            "Give the objects the numbers 1 to n, row by row. Nothing else changes; undo knows it."
        )
        self.renumber.clicked.connect(self.renumber_requested)
        row.addWidget(self.renumber)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.combo)
        column.addWidget(self.status)
        column.addLayout(row)
        self.show_history("", "")

    def _button(self, title: str, key: str, signal: Signal) -> _StepButton:
        button = _StepButton(title)
        button.setAccessibleName(title)
        button.setProperty("key", key)
        button.clicked.connect(signal)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return button

    def show_layers(self, layers: Sequence[LabelsLayer], chosen: LabelsLayer | None) -> None:
        """List the labels layers and mark the chosen one."""
        blocked = self.combo.blockSignals(True)
        self.combo.clear()
        for layer in layers:
            self.combo.addItem(layer.name, layer)
        if not layers:
            self.combo.addItem("No labels yet: run a model, or add a labels layer", None)
        places = [k for k, layer in enumerate(layers) if layer is chosen]
        self.combo.setCurrentIndex(places[0] if places else (-1 if layers else 0))
        self.combo.setEnabled(bool(layers))
        self.combo.blockSignals(blocked)

    def show_status(self, text: str) -> None:
        """Tell how many objects there are and how many are decided."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def show_history(self, undo: str, redo: str) -> None:
        """Name the steps that undo and redo would take; empty where there is none."""
        for button, title, step in ((self.undo, "Undo", undo), (self.redo, "Redo", redo)):
            key = button.property("key")
            button.setEnabled(bool(step))
            button.show_step(title, step)
            button.setToolTip(f"{title} '{step}' ({key})." if step else f"Nothing to {title}.")


class ToolsBox(QWidget):
    """One button a tool, the settings of the chosen one, and what it says."""

    chosen = Signal(str)
    options_changed = Signal(object)

    def __init__(self, tools: Iterable[tuple[str, Tool]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        self._tools = dict(tools)
        self._chosen = ""
        self._grid = QGridLayout()
        self._grid.setSpacing(3)
        for place, (name, tool) in enumerate(self._tools.items()):
            self._add(name, tool, place)
        self.form = Form(ToolOptions())
        self.form.changed.connect(self.options_changed)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setMinimumHeight(2 * self.message.fontMetrics().lineSpacing())
        self.message.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._grid)
        column.addWidget(self.form)
        column.addWidget(self.message)
        self.show_chosen("")

    def _add(self, name: str, tool: Tool, place: int) -> None:
        button = QPushButton()
        button.setText(tool.title)
        button.setCheckable(True)
        key = tool.key.replace("-", "+")
        button.setToolTip(f"{tool.help} ({key}; Esc to stop)")
        button.setAccessibleName(tool.title)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
        self._grid.addWidget(button, place // _COLUMNS, place % _COLUMNS)
        self.buttons[name] = button

    def allow(self, on: bool) -> None:
        """Let tools be chosen, or not."""
        for button in self.buttons.values():
            button.setEnabled(on)

    def show_chosen(self, name: str) -> None:
        """Show which tool is in the hand, and only its settings."""
        self._chosen = name
        for other, button in self.buttons.items():
            button.setChecked(other == name)
        tool = self._tools.get(name)
        followed = tool.options if tool is not None else ()
        for field, control in self.form.controls.items():
            self.form.labels[field].setVisible(field in followed)
            control.setVisible(field in followed)
        self.form.setVisible(bool(followed))
        self.show_message("")

    def show_message(self, text: str) -> None:
        """Tell what the tool says; where it says nothing, what it is for."""
        tool = self._tools.get(self._chosen)
        self.message.setText(text or (tool.help if tool is not None else ""))
