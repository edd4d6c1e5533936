"""What there is to learn from: a list with a picture and counts, a tick for what enters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.wording import counted
from napari_cellseg.session.finetuning.overview import SourceRow

_ICON = 40  # px
_ROWS = (2, 5)  # least and most rows that are seen at once
EMPTY = (
    "Nothing to learn from yet. Accept or correct some objects in the tab Correct, or mark where "
    "all of them are right; or add a folder of images and labels."
)


class SourcesBox(QWidget):
    """Lists sources, two lines each.

    Signals: ``ticked(str, bool)`` with the key of a row, ``folder_requested()``,
    ``forget_requested(str)`` with the key of a folder.
    """

    ticked = Signal(str, bool)
    folder_requested = Signal()
    forget_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: dict[str, SourceRow] = {}
        self._folders: frozenset[str] = frozenset()
        self.note = QLabel(EMPTY)
        self.note.setWordWrap(True)
        self.list = QListWidget()
        self.list.setAccessibleName("What to learn from")
        self.list.setToolTip("Tick what the model learns from; only what was reviewed counts.")
        self.list.setIconSize(QSize(_ICON, _ICON))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setWordWrap(True)
        self.list.itemChanged.connect(self._on_item)
        self.list.currentItemChanged.connect(lambda *_: self._follow_current())
        self.add = _button("Add folder…", "Learn from a folder with images/ and labels/ as well.")
        self.add.clicked.connect(lambda: self.folder_requested.emit())
        self.forget = _button("Remove folder", "Take the selected folder from the list.")
        self.forget.clicked.connect(self._on_forget)
        row = QHBoxLayout()
        row.addWidget(self.add)
        row.addWidget(self.forget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.note)
        column.addWidget(self.list)
        column.addLayout(row)
        self.show_rows((), (), ())

    def show_rows(
        self, rows: Sequence[SourceRow], ticked: Collection[str], folders: Collection[str]
    ) -> None:
        """Show all rows anew.

        Parameters
        ----------
        rows
            In order.
        ticked
            Keys of those that enter.
        folders
            Keys of those that are folders.
        """
        chosen = self._key(self.list.currentItem())
        self._rows = {row.key: row for row in rows}
        self._folders = frozenset(folders)
        blocked = self.list.blockSignals(True)
        self.list.clear()
        for row in rows:
            item = QListWidgetItem(_icon(row), "\n".join(_lines(row)))
            item.setData(Qt.ItemDataRole.UserRole, row.key)
            item.setToolTip(_tip(row))
            flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
            if not row.problem:
                flags |= Qt.ItemFlag.ItemIsUserCheckable
            item.setFlags(flags)
            on = row.key in ticked and not row.problem
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.list.addItem(item)
            if row.key == chosen:
                self.list.setCurrentItem(item)
        self.list.blockSignals(blocked)
        self.list.setVisible(bool(rows))
        self.note.setVisible(not rows)
        shown = min(max(len(rows), _ROWS[0]), _ROWS[1])
        self.list.setFixedHeight(shown * max(self.list.sizeHintForRow(0), _ICON + 4) + 6)
        self._follow_current()

    def _follow_current(self) -> None:
        self.forget.setVisible(bool(self._folders))
        self.forget.setEnabled(self._key(self.list.currentItem()) in self._folders)

    def _on_forget(self) -> None:
        key = self._key(self.list.currentItem())
        if key in self._folders:
            self.forget_requested.emit(key)

    def _on_item(self, item: QListWidgetItem) -> None:
        self.ticked.emit(self._key(item), item.checkState() == Qt.CheckState.Checked)

    @staticmethod
    def _key(item: QListWidgetItem | None) -> str:
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))


def _lines(row: SourceRow) -> tuple[str, str]:
    if row.problem:
        return row.name, row.problem
    objects = counted(row.objects, "object")
    parts = [objects + (f" ({row.decided} by hand)" if row.decided else "")]
    if row.of_planes > 1:
        parts.append(f"{row.planes} of {row.of_planes} planes")
    if row.share < 0.995:
        percent = 100 * row.share
        parts.append(f"{percent:.0f} % known" if percent >= 1 else "< 1 % known")
    return row.name, ", ".join(parts) + (f"\n{row.part}" if row.part else "")


def _tip(row: SourceRow) -> str:
    if row.problem:
        return f"{row.name}: {row.problem}"
    told = [f"{row.name}: {row.objects} objects that are right"]
    if row.decided is not None:
        told.append(f"{row.decided} of them accepted or edited by hand")
    told.append(f"on {100 * row.share:.1f} % of the area it is known what is there")
    told.append(f"{row.planes} of {row.of_planes} planes")
    if row.part:
        told.append(f"used for {row.part}")
    return "; ".join(told) + "."


def _icon(row: SourceRow) -> QIcon:
    """Return the picture, centred on a square so that all names begin at the same place."""
    square = QPixmap(_ICON, _ICON)
    square.fill(Qt.GlobalColor.transparent)
    if row.picture is not None:
        height, width, _ = row.picture.shape
        held = row.picture.tobytes()
        image = QImage(held, width, height, 3 * width, QImage.Format.Format_RGB888)
        square = QPixmap.fromImage(image).scaled(
            _ICON,
            _ICON,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
    return QIcon(square)


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    button.setAccessibleName(title)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button
