"""Whether the outlines of locked objects are shown."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget


class OutlinesBox(QWidget):
    """A tick box; ``switched(bool)`` is emitted when the user clicks it."""

    switched = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown = QCheckBox("Show locked objects")
        self.shown.setChecked(True)
        self.shown.setAccessibleName("Show locked objects")
        self.shown.setToolTip(
            "Outline the objects that no setting and no model changes any more: accepted ones "
            "with a solid line, edited ones with a dashed line."
        )
        self.shown.clicked.connect(self.switched)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.shown)

    def show_on(self, on: bool) -> None:
        """Tick the box or not."""
        self.shown.setChecked(on)
