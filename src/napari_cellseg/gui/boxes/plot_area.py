"""One plot of pyqtgraph in the colours of the theme, made when it is first needed."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.curve import CurveColours

_AXIS_WIDTH = 46  # px
_DRAWN = 0.3  # opacity of the rectangle


class PlotArea(QWidget):
    """Hidden, and no library loaded, before `begin`.

    Signals: ``dragged(x0, x1, y0, y1)`` in units of the axes while a person draws a rectangle,
    ``clicked()`` for a press without a drag.

    Attributes
    ----------
    plot
        pyqtgraph's widget; None before.
    colours
        Those of the theme; None before they are told.
    """

    dragged = Signal(float, float, float, float)
    clicked = Signal()

    def __init__(self, name: str, tip: str, height: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name, self._tip, self._height = name, tip, height
        self.library: Any = None
        self.plot: Any = None
        self.colours: CurveColours | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.hide()

    def begin(self, library: Any) -> None:
        """Make the plot, once.

        Parameters
        ----------
        library
            The module pyqtgraph: loading it takes too long to be done here.
        """
        if self.plot is not None:
            return
        self.library = library
        self.plot = plot = library.PlotWidget(viewBox=_selecting(library, self))
        plot.setFixedHeight(self._height)
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(x=False, y=False)
        plot.hideButtons()
        for side in ("left", "bottom"):
            plot.getPlotItem().getAxis(side).enableAutoSIPrefix(False)
        plot.getPlotItem().getAxis("left").setWidth(_AXIS_WIDTH)
        plot.setAccessibleName(self._name)
        plot.setToolTip(self._tip)
        self._column.addWidget(plot)
        self.show()
        self._paint()

    def show_colours(self, colours: CurveColours) -> None:
        """Take the colours of another theme."""
        self.colours = colours
        self._paint()

    def brush(self, which: int, opacity: float = 1.0) -> Any:
        """Return a filling in one of the colours of the lines."""
        return self.library.mkBrush(self._colour(which, opacity))

    def pen(self, which: int, width: float = 2.0, opacity: float = 1.0) -> Any:
        """Return a line in one of the colours of the lines."""
        return self.library.mkPen(self._colour(which, opacity), width=width)

    def _colour(self, which: int, opacity: float) -> Any:
        lines = self.colours.lines if self.colours is not None else ("w", "y", "c")
        colour = self.library.mkColor(lines[which])
        colour.setAlphaF(opacity)
        return colour

    def _paint(self) -> None:
        if self.plot is None or self.colours is None:
            return
        self.plot.setBackground(self.colours.background)
        for side in ("left", "bottom"):
            axis = self.plot.getPlotItem().getAxis(side)
            axis.setPen(self.colours.grid)
            axis.setTextPen(self.colours.text)
        drawn = self.plot.getViewBox().rbScaleBox
        drawn.setPen(self.pen(2, 1))
        drawn.setBrush(self.brush(2, _DRAWN))


def _selecting(library: Any, area: PlotArea) -> Any:
    """Return a view in which a drag draws a rectangle instead of moving the plot."""

    class SelectingView(library.ViewBox):
        """Tells its area what is drawn."""

        def mouseDragEvent(self, event: Any, axis: Any = None) -> None:  # noqa: N802 - its name
            """Draw the rectangle and tell of it, also while it is drawn."""
            event.accept()
            start, end = event.buttonDownPos(), event.pos()
            if event.isFinish():
                self.rbScaleBox.hide()
            else:
                self.updateScaleBox(start, end)
            a, b = (self.mapToView(point) for point in (start, end))
            xs, ys = sorted((a.x(), b.x())), sorted((a.y(), b.y()))
            area.dragged.emit(*xs, *ys)

        def mouseClickEvent(self, event: Any) -> None:  # noqa: N802 - its name
            """Tell of a click."""
            event.accept()
            area.clicked.emit()

        def wheelEvent(self, event: Any, axis: Any = None) -> None:  # noqa: N802 - its name
            """Leave the wheel to the tab, which scrolls."""
            event.ignore()

    return SelectingView(enableMenu=False)
