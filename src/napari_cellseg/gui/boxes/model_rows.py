"""Models as rows of a combo box, under the headings of where they come from."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QStandardItem, QStandardItemModel

from napari_cellseg.core.zoo.store import ModelEntry

GROUPS = {"included": "Included", "mine": "Mine", "file": "From file"}


def model_rows(
    entries: Mapping[str, ModelEntry], current: str, parent: QObject
) -> tuple[QStandardItemModel, int]:
    """Return the rows of models by key, and the row of the `current` one.

    Each row holds its key as user data; headings cannot be chosen.
    """
    rows, at = QStandardItemModel(parent), 0
    for group, title in GROUPS.items():
        members = [(key, entry) for key, entry in entries.items() if entry.group == group]
        if not members:
            continue
        header = QStandardItem(title)
        header.setFlags(Qt.ItemFlag.NoItemFlags)
        rows.appendRow(header)
        for key, entry in members:
            item = QStandardItem(f"   {entry.card.title or entry.name}")
            item.setData(key, Qt.ItemDataRole.UserRole)
            item.setToolTip(entry.card.description)
            at = rows.rowCount() if key == current else at
            rows.appendRow(item)
    return rows, at
