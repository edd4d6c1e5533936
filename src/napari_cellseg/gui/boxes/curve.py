"""Curves of a training: losses above, agreement with the validation part below."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cellseg.core.progress import Progress

STAGE = "Training"
_INTERVAL_MS = 250
_MOST_POINTS = 600
_HEIGHTS = (110, 100)  # px
_LINES = {
    "loss": (0, "loss", False),
    "validation_loss": (0, "validation loss", True),
    "ap50": (1, "AP", True),
}
"""By metric: in which plot, what it is called, and whether it has dots: validations are rare."""


@dataclass(frozen=True)
class CurveColours:
    """Colours of the theme, as ``#rrggbb``."""

    background: str
    text: str
    grid: str
    lines: tuple[str, str, str]


class CurveBox(QWidget):
    """Shows the numbers of each step; nothing is drawn, and no library loaded, before `begin`.

    New points are drawn a few times a second at most, however fast they come.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: dict[str, tuple[list[float], list[float]]] = {}
        self._colours: CurveColours | None = None
        self._library: Any = None
        self.plots: list[Any] = []
        self._curves: dict[str, Any] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self.draw)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setAccessibleName("What the curves show")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._column.addWidget(self.legend)
        self.setAccessibleName("Curves of the training")
        self.hide()

    def begin(self, library: Any) -> None:
        """Make the plots, once.

        Parameters
        ----------
        library
            The module pyqtgraph: loading it takes too long to be done here.
        """
        if self.plots:
            return
        self._library = library
        for height in _HEIGHTS:
            plot = library.PlotWidget()
            plot.setFixedHeight(height)
            plot.setMenuEnabled(False)
            plot.setMouseEnabled(x=False, y=False)
            plot.hideButtons()
            plot.getPlotItem().getAxis("left").setWidth(38)
            self.plots.append(plot)
            self._column.addWidget(plot)
        losses, scores = self.plots
        losses.setToolTip("Loss on the training patches, and on the validation part.")
        losses.setAccessibleName("Curve of the losses")
        scores.setToolTip("Average precision at IoU 0.5 on the validation part: 1 is perfect.")
        scores.setAccessibleName("Curve of the average precision")
        losses.getPlotItem().getAxis("bottom").setStyle(showValues=False)
        losses.setLimits(xMin=0)
        scores.setYRange(0, 1, padding=0.08)
        scores.getPlotItem().getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        scores.setLabel("bottom", "step")
        scores.setXLink(losses)
        for name, (place, _, _) in _LINES.items():
            self._curves[name] = self.plots[place].plot([], [])
        self._paint()

    def show_colours(self, colours: CurveColours) -> None:
        """Take the colours of another theme."""
        self._colours = colours
        self._paint()

    def clear(self) -> None:
        """Forget all points, and hide until there are others."""
        self._points = {name: ([], []) for name in _LINES}
        self.hide()
        self.draw()

    def add(self, progress: Progress) -> None:
        """Add what a step of the training proper tells."""
        if progress.stage != STAGE:  # others count steps of their own
            return
        told = {name: progress.metrics[name] for name in _LINES if name in progress.metrics}
        for name, value in told.items():
            xs, ys = self._points.setdefault(name, ([], []))
            if math.isfinite(value) and (not xs or progress.done > xs[-1]):
                xs.append(progress.done)
                ys.append(value)
                if len(xs) > _MOST_POINTS:
                    xs[:], ys[:] = _thinned(xs), _thinned(ys)
        if told:
            self.show()
            if not self._timer.isActive():
                self._timer.start()

    def draw(self) -> None:
        """Draw all points."""
        for name, curve in self._curves.items():
            curve.setData(*self._points.get(name, ([], [])))

    def points(self, name: str) -> tuple[list[float], list[float]]:
        """Return steps and values of a metric."""
        return self._points.get(name, ([], []))

    def _paint(self) -> None:
        colours = self._colours
        if colours is None:
            return
        said = [
            f"<span style='color:{colour}'>{'●' if dots else '▬'}</span> {title}"
            for (_, title, dots), colour in zip(_LINES.values(), colours.lines, strict=True)
        ]
        self.legend.setText("&nbsp;&nbsp; ".join(said))
        for plot in self.plots:
            plot.setBackground(colours.background)
            for side in ("left", "bottom"):
                axis = plot.getPlotItem().getAxis(side)
                axis.setPen(colours.grid)
                axis.setTextPen(colours.text)
        for (name, (_, _, dots)), colour in zip(_LINES.items(), colours.lines, strict=True):
            curve = self._curves.get(name)
            if curve is not None:
                curve.setPen(self._library.mkPen(colour, width=2))
                curve.setSymbol("o" if dots else None)
                curve.setSymbolSize(5)
                curve.setSymbolBrush(colour)
                curve.setSymbolPen(colour)


def _thinned(values: list[float]) -> list[float]:
    """Leave out every second value of the older half, which then covers more steps."""
    half = len(values) // 2
    return values[:half:2] + values[half:]
