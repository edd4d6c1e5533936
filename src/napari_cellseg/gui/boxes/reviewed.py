"""The reviewed area: buttons that mark it, and how much of the image it is."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget


class ReviewedBox(QWidget):
    """Asks for a reviewed area; ``rectangle_requested(bool)`` begins or ends drawing one."""

    view_requested = Signal()
    slice_requested = Signal()
    rectangle_requested = Signal(bool)
    paint_requested = Signal()
    clear_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.view = _button(
            "This view", "Say that all objects in view are right, and that none is missing there."
        )
        self.plane = _button("This slice", "Say that this whole plane is right.")
        self.rectangle = _button(
            "Rectangle", "Draw a rectangle within which everything is right; Escape ends it."
        )
        self.rectangle.setCheckable(True)
        self.paint = _button(
            "Paint", "Paint the area with napari's brush; its eraser takes away, Ctrl+Z goes back."
        )
        self.clear = _button("Clear", "Mark nothing as reviewed; Ctrl+Z in its layer goes back.")
        grid = QGridLayout()
        grid.setSpacing(3)
        buttons = (self.view, self.plane, self.rectangle, self.paint, self.clear)
        for place, button in enumerate(buttons):
            grid.addWidget(button, *divmod(place, 3))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.note)
        column.addLayout(grid)
        self.view.clicked.connect(lambda: self.view_requested.emit())
        self.plane.clicked.connect(lambda: self.slice_requested.emit())
        self.rectangle.clicked.connect(self.rectangle_requested)
        self.paint.clicked.connect(lambda: self.paint_requested.emit())
        self.clear.clicked.connect(lambda: self.clear_requested.emit())
        self.show_share(0.0)

    def show_share(self, share: float) -> None:
        """Tell which part of the labels, 0 to 1, is marked."""
        percent = 100 * share
        text = "Nothing is marked as reviewed: mark where every object is right."
        if share > 0:
            amount = "less than 0.1" if percent < 0.1 else f"{min(percent, 100):.3g}"
            text = f"Reviewed: {amount} % of the labels."
        self.note.setText(text)
        self.clear.setEnabled(share > 0)

    def show_drawing(self, on: bool) -> None:
        """Show whether a rectangle is being drawn."""
        self.rectangle.setChecked(on)


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    button.setAccessibleName(f"Reviewed area: {title}")
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button
