"""A list of errors for Qt, each with the colour that it has in the image."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_cellseg.core.agreement.error_list import ErrorList, ObjectError
from napari_cellseg.core.agreement.object_errors import ErrorKind
from napari_cellseg.core.agreement.report.pictures import TINTS


class ErrorsModel(QAbstractListModel):
    """Shows an `ErrorList`, however long."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.errors: ErrorList | None = None

    def show(self, errors: ErrorList | None) -> None:
        """Take another list."""
        self.beginResetModel()
        self.errors = errors
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of errors."""
        inside = parent is not None and parent.isValid()
        return 0 if inside or self.errors is None else len(self.errors)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return words, colour and meaning of an error."""
        if self.errors is None or not index.isValid():
            return None
        error: ObjectError = self.errors[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return words(error)
        if role == Qt.ItemDataRole.DecorationRole:
            return QColor(*TINTS[error.kind])
        if role == Qt.ItemDataRole.ToolTipRole:
            return error.kind.meaning
        return None


def words(error: ObjectError) -> str:
    """Return an error in a few words."""
    kind, ours, theirs = error.kind, error.label_ids, error.reference_ids
    if kind is ErrorKind.MISSED:
        about = f"reference {theirs[0]}"
    elif kind is ErrorKind.MERGED:
        about = f"object {ours[0]} covers {len(theirs)}"
    elif kind is ErrorKind.SPLIT:
        about = f"reference {theirs[0]} in {len(ours)}"
    elif kind is ErrorKind.POOR_OUTLINE:
        about = f"object {ours[0]}, IoU {error.iou:.2f}"
    else:
        about = f"object {ours[0]}"
    return f"{kind.title}: {about}, {error.pixels} px"
