"""Draws AP and F1 over the IoU that a match must reach."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QObject, Qt

from napari_cellseg.core.agreement.intervals import Intervals
from napari_cellseg.core.agreement.tally import AP_NAMES, F1_NAMES
from napari_cellseg.core.metrics import THRESHOLDS
from napari_cellseg.gui.boxes.plot_area import PlotArea
from napari_cellseg.gui.finetune.colours import theme_colours
from napari_cellseg.gui.job_runner import JobRunner, single_step

_BAND = 0.25  # opacity


class ErrorCurve(QObject):
    """The curve of a comparison; its library is loaded with the first one."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: JobRunner,
        area: PlotArea,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._runner, self._area = viewer, runner, area
        self._scores: Intervals | None = None

    def show(self, scores: Intervals) -> None:
        """Draw other scores."""
        self._scores = scores
        if self._area.plot is not None:
            self.draw()
            return
        job = self._runner.create(single_step(lambda: import_module("pyqtgraph")))
        job.succeeded.connect(self._on_library)
        job.start()

    def _on_library(self, library: Any) -> None:
        self._area.begin(library)
        self.draw()

    def draw(self) -> None:
        """Draw the scores in the colours of the theme."""
        area, scores = self._area, self._scores
        if area.plot is None or scores is None:
            return
        area.show_colours(theme_colours(self._viewer))
        area.plot.clear()
        library, xs = area.library, list(map(float, THRESHOLDS))
        for which, names in ((2, AP_NAMES), (1, F1_NAMES)):
            found = [scores[name] for name in names]
            limits = [(one.low, one.high) for one in found]
            if all(low is not None for low, _ in limits):
                low, high = (
                    library.PlotDataItem(xs, list(side)) for side in zip(*limits, strict=True)
                )
                band = library.FillBetweenItem(low, high, brush=area.brush(which, _BAND))
                area.plot.addItem(band)
            pen = area.pen(which)
            pen.setStyle(Qt.PenStyle.SolidLine if which == 2 else Qt.PenStyle.DashLine)
            area.plot.plot(xs, [one.value for one in found], pen=pen)
        area.plot.setXRange(xs[0], xs[-1], padding=0.02)
        area.plot.setYRange(0, 1, padding=0.03)
        area.plot.setLabel("bottom", "IoU that a match must reach")
        area.plot.setLabel("left", "AP, F1 (dashed)")
