"""A titled frame around widgets."""

from __future__ import annotations

from qtpy.QtWidgets import QGroupBox, QVBoxLayout, QWidget


def group(title: str, *widgets: QWidget) -> QGroupBox:
    """Return a frame with a title around widgets, one below the other."""
    box = QGroupBox(title)
    rows = QVBoxLayout(box)
    rows.setContentsMargins(6, 6, 6, 6)
    for widget in widgets:
        rows.addWidget(widget)
    return box
