"""What each dimension of an image is taken for, in a row of combo boxes."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QWidget

AXIS_NAMES = {"T": "time", "Z": "slices", "C": "channels", "Y": "rows", "X": "columns"}


class AxisBar(QWidget):
    """One combo box a dimension: what it is taken for, and its length."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self.combos: list[QComboBox] = []
        self._axes = ""

    @property
    def axes(self) -> str:
        """One letter a dimension."""
        return self._axes

    def show_axes(self, axes: str, shape: tuple[int, ...], fixed_last: bool) -> None:
        """Show `axes` and lengths; with `fixed_last` the colour axis cannot be renamed."""
        while item := self._grid.takeAt(0):
            item.widget().hide()
            item.widget().deleteLater()
        self._axes = axes
        self.combos = []
        for position, (axis, size) in enumerate(zip(axes, shape, strict=True)):
            combo = QComboBox()
            combo.addItems(list("TZCYX"))
            for row, letter in enumerate("TZCYX"):
                tip = AXIS_NAMES[letter]
                combo.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
            combo.setCurrentText(axis)
            combo.setEnabled(not (fixed_last and position == len(axes) - 1))
            combo.setToolTip(f"Dimension {position + 1}: {size} {AXIS_NAMES[axis]}")
            combo.setAccessibleName(f"Meaning of dimension {position + 1}, length {size}")
            combo.currentTextChanged.connect(
                lambda letter, position=position: self._on_chosen(position, letter)
            )
            label = QLabel(f"{size}")
            label.setToolTip(combo.toolTip())
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._grid.addWidget(combo, 0, position)
            self._grid.addWidget(label, 1, position)
            self.combos.append(combo)

    def _on_chosen(self, position: int, letter: str) -> None:
        """Give the dimension its new letter; one that bore it gets the old letter instead."""
        axes = list(self._axes)
        old = axes[position]
        if letter in axes:
            other = axes.index(letter)
            axes[other] = old
            self._set_quietly(other, old)
        axes[position] = letter
        self._axes = "".join(axes)
        self.changed.emit()

    def _set_quietly(self, position: int, letter: str) -> None:
        combo = self.combos[position]
        combo.blockSignals(True)
        combo.setCurrentText(letter)
        combo.blockSignals(False)
