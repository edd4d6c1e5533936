"""Keeps the table in step with the selection, and sums the objects up."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QObject

from napari_cellseg.core.measure.definitions import unit
from napari_cellseg.core.measure.table import MeasureTable
from napari_cellseg.gui.boxes.measure_table import MeasureTableBox
from napari_cellseg.gui.boxes.objects_model import shown, title
from napari_cellseg.gui.measure.selection import Rows, Selection


class ObjectsTable(QObject):
    """Connects the table of objects with the selection."""

    def __init__(
        self, selection: Selection, box: MeasureTableBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._selection, self._box = selection, box
        box.selected.connect(lambda rows: selection.choose(rows, self))
        selection.table_changed.connect(self._on_table)
        selection.changed.connect(self._on_selected)
        self._on_table()

    def _on_table(self) -> None:
        self._box.show_table(self._selection.table)
        self._sum_up()

    def _on_selected(self, by: object) -> None:
        rows = self._selection.rows
        if by is not self:
            self._box.show_selected(rows, together=by is not self._selection)
        self._sum_up()

    def _sum_up(self) -> None:
        table, rows = self._selection.table, self._selection.rows
        if table is None:
            self._box.show_summary("", "")
            return
        everything = np.arange(len(table))
        count = f"{len(table)} object" + ("" if len(table) == 1 else "s")
        if self._selection.plane_axes:
            count += f" in {sum(one.planes for one in table.images)} planes"
        told = f"{rows.size} selected" + summary(table, rows) if rows.size else ""
        self._box.show_summary(count + summary(table, everything), told)


def summary(table: MeasureTable, rows: Rows) -> str:
    """Return mean and standard deviation of the area, and the mean of each channel, in words."""
    parts = []
    area = next((name for name in ("area_um2", "area_px") if name in table.columns), None)
    if area is not None and rows.size:
        values = table[area][rows]
        spread = f" ± {shown(float(values.std()))}" if rows.size > 1 else ""
        name = "mean area" if rows.size > 1 else "area"
        parts.append(f"{name} {shown(float(values.mean()))}{spread} {unit(area)}")
    for name in table.columns:
        if name.startswith("mean_") and not name.startswith("mean_minus_ring_") and rows.size:
            values = table[name][rows]
            known = values[np.isfinite(values)]
            if known.size:
                parts.append(f"{title(name)} {shown(float(known.mean()))}")
    return (": " + "; ".join(parts) if parts else "") + "."
