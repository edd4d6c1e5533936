"""The images of a batch for Qt: a row an image, and what has become of it in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_cellseg.core.batch.queue import CANCELLED, FINISHED_BEFORE, Item, State

if TYPE_CHECKING:
    from napari_cellseg.core.batch.inputs import BatchInput

IMAGE, STATE, OBJECTS, TIME = range(4)
TITLES = {
    "Image": "File or layer, with the number (from 0) of the image where a file holds several.",
    "State": "What has become of the image.",
    "Objects": "How many objects were found.",
    "Time": "How long it took to segment, without reading and writing.",
}
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, eq=False)
class Row:
    """An image of the list, and what has become of it if a batch has begun."""

    input: BatchInput
    item: Item | None = None

    @property
    def problem(self) -> str:
        """Why it failed or was left out, one sentence; "" if there is nothing to say."""
        item = self.item
        told = item is not None and item.note not in ("", CANCELLED, FINISHED_BEFORE)
        return item.note if told and item is not None else ""

    @property
    def failed(self) -> bool:
        """Whether it could not be segmented."""
        return self.item is not None and self.item.state == State.FAILED

    @property
    def has_result(self) -> bool:
        """Whether its labels are on disk."""
        item = self.item
        if item is None:
            return False
        return item.state == State.DONE or item.note == FINISHED_BEFORE


def words(item: Item | None) -> str:
    """Return what has become of an image, in words; "" before a batch has begun."""
    if item is None:
        return ""
    if item.state == State.RUNNING and item.share:
        return f"running, {100 * item.share:.0f} %"
    if item.state != State.SKIPPED:
        return str(item.state)
    known = {FINISHED_BEFORE: "done before", CANCELLED: "cancelled"}
    return known.get(item.note, "left out")


class BatchModel(QAbstractTableModel):
    """Shows rows in the order of the list."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []

    def show(self, rows: Sequence[Row]) -> None:
        """Take other rows."""
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def change(self, changed: Sequence[tuple[int, Row]]) -> None:
        """Show some rows anew."""
        for place, row in changed:
            self.rows[place] = row
        if changed:
            places = [place for place, _ in changed]
            self.dataChanged.emit(self.index(min(places), 0), self.index(max(places), TIME))

    # What Qt asks for

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of images."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(TITLES)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, tooltip and alignment of a cell."""
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (OBJECTS, TIME):
            return _RIGHT
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return title and meaning of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return list(TITLES)[section]
        return list(TITLES.values())[section] if role == Qt.ItemDataRole.ToolTipRole else None


def _text(row: Row, column: int) -> str:
    one, item = row.input, row.item
    if column == IMAGE:
        return one.title
    if column == STATE:
        return f"{words(item)}: {row.problem}" if row.problem else words(item)
    if item is None:
        return ""
    if column == OBJECTS:
        return "" if item.objects is None else str(item.objects)
    return "" if item.seconds is None else f"{item.seconds:.1f} s"


def _tip(row: Row) -> str:
    one = row.input
    place = f"Layer {one.name}" if one.path is None else str(one.path)
    told = row.problem or words(row.item)
    if row.has_result:
        told += "; double click to open image and labels"
    return f"{place}\n{told}".strip()
