"""Draws columns of the table, and selects the objects over which a person drags."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from qtpy.QtCore import QObject, QTimer

from napari_cellseg.gui.boxes.histogram import COUNT, HistogramBox
from napari_cellseg.gui.finetune.colours import theme_colours
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.gui.measure.selection import Selection

_FIRST = ("area_um2", "area_px")
_MOST_BINS, _LEAST_BINS = 60, 8
_MOST_DOTS = 10_000
_DRAW_MS = 40
_POSITIONS = ("centroid", "bbox")  # of columns that are no properties of objects
FloatArray = npt.NDArray[np.float64]


class Plot(QObject):
    """The plot of the selection's table; its library is loaded with the first one."""

    def __init__(
        self,
        viewer: ViewerModel,
        selection: Selection,
        runner: JobRunner,
        box: HistogramBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._selection, self._runner, self._box = viewer, selection, runner, box
        self._asked = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_DRAW_MS)
        self._later.timeout.connect(self.draw)
        selection.table_changed.connect(self._on_table)
        selection.changed.connect(lambda _: self._draw_soon())
        box.columns_chosen.connect(self.draw)
        box.dragged.connect(self.select)
        box.cleared.connect(lambda: selection.choose([], self))

    def _on_table(self) -> None:
        table = self._selection.table
        if table is None:
            return
        first_time = not self._box.columns[0]
        self._box.show_columns(_ordered(table.numeric()))
        if first_time:
            known = [self._box.across.findData(name) for name in _FIRST]
            self._box.across.setCurrentIndex(next((k for k in known if k >= 0), 0))
        if not self._asked:
            self._asked = True
            job = self._runner.create(single_step(lambda: import_module("pyqtgraph")))
            job.succeeded.connect(self._on_library)
            job.failed.connect(lambda error: self._box.show_note(str(error)))
            job.start()
        self._draw_soon()

    def _on_library(self, library: Any) -> None:
        self._box.area.show_colours(theme_colours(self._viewer))
        self._box.area.begin(library)
        self.draw()

    def follow_theme(self) -> None:
        """Take the colours of another theme."""
        if self._box.area.plot is not None:
            self._box.area.show_colours(theme_colours(self._viewer))
            self.draw()

    def _draw_soon(self) -> None:
        if self._box.area.plot is not None and not self._later.isActive():
            self._later.start()

    def values(self, name: str) -> FloatArray:
        """Return a column as numbers, NaN where there is none."""
        table = self._selection.table
        if table is None or name not in table.columns:
            return np.zeros(0)
        found = np.asarray(table[name], np.float64)
        return np.where(np.isfinite(found), found, np.nan)

    def draw(self) -> None:
        """Draw the chosen columns and what is selected."""
        if self._box.area.plot is None or self._selection.table is None:
            return
        across, up = self._box.columns
        x = self.values(across)
        marked = np.zeros(x.size, bool)
        marked[self._selection.rows] = True
        self._box.show_note("")
        if up == COUNT:
            edges = bin_edges(x)
            counts, chosen = (np.histogram(part, edges)[0] for part in (x, x[marked]))
            self._box.draw_histogram(edges, counts.astype(float), chosen.astype(float))
            return
        y = self.values(up)
        there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if there.size > _MOST_DOTS:
            self._box.show_note(f"{_MOST_DOTS} of {there.size} dots are drawn; a drag takes all.")
            there = np.random.default_rng(0).choice(there, _MOST_DOTS, replace=False)
        self._box.draw_scatter(x[there], y[there], marked[there])

    def select(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """Select the objects within limits; in a histogram, only those of x count."""
        across, up = self._box.columns
        x = self.values(across)
        inside = (x >= x0) & (x <= x1)
        if up != COUNT:
            y = self.values(up)
            inside &= (y >= y0) & (y <= y1)
        self._selection.choose(np.flatnonzero(inside), self)


def bin_edges(values: FloatArray) -> FloatArray:
    """Return edges of bins: of width 1 for a few whole numbers, else equally wide ones."""
    known = values[np.isfinite(values)]
    if not known.size:
        return np.array([0.0, 1.0])
    low, high = float(known.min()), float(known.max())
    if high - low < _MOST_BINS and (known == np.round(known)).all():
        return np.arange(low - 0.5, high + 1.5)
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    count = int(np.clip(2 * np.cbrt(known.size), _LEAST_BINS, _MOST_BINS))  # Rice's rule
    return np.linspace(low, high, count + 1)


def _ordered(names: list[str]) -> list[str]:
    """Put columns that say where an object is behind the others."""
    return sorted(names, key=lambda name: name.startswith(_POSITIONS))
