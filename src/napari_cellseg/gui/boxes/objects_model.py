"""A table of measurements for Qt: columns stay arrays, however many rows there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_cellseg.core.measure.definitions import definition, unit
from napari_cellseg.core.measure.table import MeasureTable

_HIDDEN = ("image", "group")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
Rows = npt.NDArray[np.intp]


class ObjectsModel(QAbstractTableModel):
    """Shows a `MeasureTable`, sorted by one of its columns.

    Attributes
    ----------
    names
        Columns of the table in the order of the view.
    order
        Row of the table for each row of the view.
    brought
        Rows of the table that are shown above the others.
    """

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._columns: list[npt.NDArray[Any]] = []
        self._sorted_by: tuple[str, bool] | None = None
        self.brought: Rows = np.zeros(0, np.intp)
        self.names: list[str] = []
        self.order: Rows = np.zeros(0, np.intp)
        self._place: Rows = np.zeros(0, np.intp)

    def show(self, table: MeasureTable | None) -> None:
        """Take another table; it stays sorted as it was."""
        self.beginResetModel()
        columns = {} if table is None else table.columns
        self.names = [name for name in columns if name not in _HIDDEN]
        self._columns = [np.asarray(columns[name]) for name in self.names]
        self.brought = np.zeros(0, np.intp)
        self._put_in_order()
        self.endResetModel()

    def bring_first(self, rows: Rows) -> None:
        """Show these rows of the table above the others; none of them for the plain order."""
        self.layoutAboutToBeChanged.emit()
        self.brought = rows
        self._put_in_order()
        self.layoutChanged.emit()

    def places_of(self, rows: Rows) -> Rows:
        """Return where in the view some rows of the table are."""
        return self._place[rows]

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, unknown numbers last."""
        self.layoutAboutToBeChanged.emit()
        known = 0 <= column < len(self.names)
        falling = order == Qt.SortOrder.DescendingOrder
        self._sorted_by = (self.names[column], falling) if known else None
        self._put_in_order()
        self.layoutChanged.emit()

    def _put_in_order(self) -> None:
        count = len(self._columns[0]) if self._columns else 0
        order = np.arange(count)
        if self._sorted_by is not None and self._sorted_by[0] in self.names:
            name, falling = self._sorted_by
            order = _sorted(self._columns[self.names.index(name)], falling)
        if self.brought.size:
            first = np.zeros(count, bool)
            first[self.brought] = True
            order = np.concatenate([order[first[order]], order[~first[order]]])
        self.order = order
        self._place = np.empty(count, np.intp)
        self._place[order] = np.arange(count)

    # What Qt asks for

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of objects."""
        return 0 if parent is not None and parent.isValid() else int(self.order.size)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self.names)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text and alignment of a cell."""
        if not index.isValid():
            return None
        column = self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(column[self.order[index.row()]])
        if role == Qt.ItemDataRole.TextAlignmentRole and column.dtype.kind in "iuf":
            return _RIGHT
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return title and meaning of a column."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.names):
            return None
        name = self.names[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return title(name)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{title(name)}: {definition(name)}" if definition(name) else title(name)
        return None


def title(name: str) -> str:
    """Return what a column is called for people.

    Examples
    --------
    >>> title("area_um2"), title("mean_C0")
    ('area (µm²)', 'mean C0')
    """
    measured = unit(name)
    plain = name.rpartition("_")[0] if measured else name
    words = plain.replace("_", " ")
    return f"{words} ({measured})" if measured else words


def shown(value: Any) -> str:
    """Return a value as a person reads it; "" for an unknown number."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        return "" if np.isnan(number) else f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"
    return str(value)


def _sorted(column: npt.NDArray[Any], falling: bool) -> Rows:
    """Return the order of a column; equal values keep theirs, unknown ones come last."""
    if column.dtype.kind == "f":
        unknown = np.isnan(column)
        return np.lexsort((-column if falling else column, unknown))
    if column.dtype.kind == "O":
        column = column.astype(str)
    if not falling:
        return np.argsort(column, kind="stable")
    back = np.argsort(column[::-1], kind="stable")[::-1]
    return np.asarray(column.size - 1 - back)
