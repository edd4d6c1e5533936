"""The table of measurements, and which of its rows are selected."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.measure.table import MeasureTable

Rows = npt.NDArray[np.intp]
_NONE: Rows = np.zeros(0, np.intp)


class Selection(QObject):
    """Shared by table, plot and viewer.

    Signals: ``table_changed()``; ``changed(object)`` with whoever selected, who need not follow.
    """

    table_changed = Signal()
    changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table: MeasureTable | None = None
        self.rows: Rows = _NONE

    def show(self, table: MeasureTable | None) -> None:
        """Take another table; rows stay selected if it is about the same objects."""
        old = self.table
        self.table = table
        if old is None or table is None or not _same_objects(old, table):
            self.rows = _NONE
        self.table_changed.emit()
        self.changed.emit(self)

    def choose(self, rows: Any, by: object) -> None:
        """Select rows of the table, and no others."""
        rows = np.unique(np.asarray(rows, np.intp))
        if not np.array_equal(rows, self.rows):
            self.rows = rows
            self.changed.emit(by)

    def row_of(self, label: int, index: tuple[int, ...]) -> int | None:
        """Return the row of an object on a plane, None if it was not measured."""
        if self.table is None:
            return None
        found = np.flatnonzero(self.on_plane(index) & (self.table["label"] == label))
        return int(found[0]) if found.size else None

    def on_plane(self, index: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Return which rows are about a plane."""
        if self.table is None:
            return np.zeros(0, bool)
        here = np.ones(len(self.table), bool)
        for name, k in zip(self.plane_axes, index, strict=True):
            here &= self.table[name] == k
        return here

    @property
    def plane_axes(self) -> list[str]:
        """Names of the columns that say which plane a row is about."""
        return [
            name for name in ("t", "z") if self.table is not None and name in self.table.columns
        ]

    def index_of(self, row: int) -> tuple[int, ...]:
        """Return the plane that a row is about."""
        if self.table is None:
            return ()
        return tuple(int(self.table[name][row]) for name in self.plane_axes)

    def box_of(self, row: int) -> tuple[slice, slice] | None:
        """Return rows and columns of the image that an object takes; None if not measured."""
        names = ("bbox_top_px", "bbox_bottom_px", "bbox_left_px", "bbox_right_px")
        if self.table is None or any(name not in self.table.columns for name in names):
            return None
        top, bottom, left, right = (int(self.table[name][row]) for name in names)
        return slice(top, bottom), slice(left, right)


def _same_objects(a: MeasureTable, b: MeasureTable) -> bool:
    keys = [name for name in ("t", "z", "label") if name in a.columns or name in b.columns]
    return all(
        name in a.columns and name in b.columns and np.array_equal(a[name], b[name])
        for name in keys
    )
