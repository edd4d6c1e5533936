"""The line that a tool draws, painted over the canvas while the mouse is held.

Not as a layer: napari looks through all objects of the process whenever a layer goes, so that each
stroke would take 0.1 s longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QApplication, QWidget

from napari_cellseg.gui.layers import SIGNAL_COLOUR

_WIDTH = 2.5  # px


def widget_under(event: Any) -> QWidget | None:
    """Return the widget that a mouse event of napari happened in, None if it is no event of Qt."""
    native = getattr(event, "native", None)
    place = getattr(native, "globalPosition", None) or getattr(native, "globalPos", None)
    if place is None:
        return None
    where = place()
    found: QWidget | None = QApplication.widgetAt(getattr(where, "toPoint", lambda: where)())
    return found


class StrokeLine(QWidget):
    """Lies over a canvas and lets all events through; shown as long as it has points."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setGeometry(canvas.rect())
        self._line = QPolygonF()
        self._closed = False

    def show_line(self, points: Sequence[tuple[float, float]], closed: bool) -> None:
        """Draw a line through points (x, y) of the canvas, in its logical pixels."""
        self._line = QPolygonF([QPointF(x, y) for x, y in points])
        self._closed = closed
        self.show()
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the line."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(SIGNAL_COLOUR), _WIDTH))
        (painter.drawPolygon if self._closed else painter.drawPolyline)(self._line)
        painter.end()

    def remove(self) -> None:
        """Take the line away for good."""
        self.hide()
        self.setParent(None)
        self.deleteLater()
