"""A titled frame around widgets, and a button that shares a row with others."""

from __future__ import annotations

from qtpy.QtWidgets import QGroupBox, QPushButton, QSizePolicy, QVBoxLayout, QWidget


def group(title: str, *widgets: QWidget) -> QGroupBox:
    """Return a frame with a title around widgets, one below the other."""
    box = QGroupBox(title)
    rows = QVBoxLayout(box)
    rows.setContentsMargins(6, 6, 6, 6)
    for widget in widgets:
        rows.addWidget(widget)
    return box


def wide_button(title: str, tip: str) -> QPushButton:
    """Return a button that takes the width it is given, however long its title."""
    button = QPushButton(title)
    button.setToolTip(tip)
    button.setAccessibleName(title)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button
