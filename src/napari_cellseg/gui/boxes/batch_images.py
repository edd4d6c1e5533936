"""The list of images: files dropped or chosen, open layers, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QModelIndex, QRect, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QShortcut,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.gui.boxes.batch_model import IMAGE, STATE, TIME, BatchModel, Row
from napari_cellseg.gui.boxes.group import wide_button

EMPTY = "Drop image files and folders here, or add them below."
_HEIGHT = 240  # px
_MOST_LINES = 6  # of a sentence in the table
_MARGIN = 8  # px around the text of a cell
_WIDTHS = {"State": 86, "Objects": 58, "Time": 52}  # px


class _Wrapping(QStyledItemDelegate):
    """Lets sentences wrap; the names of files are shortened instead."""

    def initStyleOption(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        super().initStyleOption(option, index)
        option.features |= QStyleOptionViewItem.ViewItemFeature.WrapText
        option.textElideMode = Qt.TextElideMode.ElideRight


class BatchImagesBox(QWidget):
    """Lists images, and takes files that are dropped on it.

    Signals: ``paths_dropped(list)``, ``files_requested()``, ``folder_requested()``,
    ``layers_requested(list)`` with layers, ``remove_requested(list)`` and
    ``cancel_requested(list)`` with rows, ``open_requested(int)`` with a row.
    """

    paths_dropped = Signal(object)
    files_requested = Signal()
    folder_requested = Signal()
    layers_requested = Signal(object)
    remove_requested = Signal(object)
    cancel_requested = Signal(object)
    open_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.setAcceptDrops(True)
        self.model = BatchModel(self)
        self.view = QTableView()
        self.note = QLabel(EMPTY)
        self.files = wide_button("Files…", "Add image files; of those that hold several, all.")
        self.folder = wide_button("Folder…", "Add all images in a folder.")
        self.layers = wide_button("Layers", "Add open image layers, with their pixels of now.")
        self.remove = wide_button("Remove", "")
        self.told = QLabel()
        self._dress_table()
        self._lay_out()
        self._menu = QMenu(self)
        self.layers.setMenu(self._menu)
        self.files.clicked.connect(lambda: self.files_requested.emit())
        self.folder.clicked.connect(lambda: self.folder_requested.emit())
        self.remove.clicked.connect(self._on_remove)
        QShortcut(
            QKeySequence(Qt.Key.Key_Delete),
            self.view,
            self._on_remove,
            context=Qt.ShortcutContext.WidgetShortcut,
        )
        self.view.doubleClicked.connect(lambda index: self.open_requested.emit(index.row()))
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._follow_selection())
        self.show_layers([])
        self.show_rows([])
        self.show_running(False)

    def _dress_table(self) -> None:
        view = self.view
        view.setModel(self.model)
        view.setAccessibleName("Images of the batch")
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        view.setFixedHeight(_HEIGHT)
        view.setWordWrap(False)
        view.setShowGrid(False)
        view.setItemDelegateForColumn(STATE, _Wrapping(view))
        rows = view.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = view.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(IMAGE, QHeaderView.ResizeMode.Stretch)
        for column, width in enumerate(_WIDTHS.values(), start=STATE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            view.setColumnWidth(column, width)

    def _lay_out(self) -> None:
        self.note.setWordWrap(True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setMinimumHeight(70)
        self.note.setStyleSheet("border: 1px dashed palette(mid); border-radius: 4px;")
        self.told.setWordWrap(True)
        self.told.setAccessibleName("About the selected image")
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        for button in (self.files, self.folder, self.layers, self.remove):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.note)
        column.addWidget(self.view)
        column.addLayout(row)
        column.addWidget(self.told)

    # What is shown

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show all rows anew."""
        self.model.show(rows)
        self.note.setVisible(not rows)
        self.view.setVisible(bool(rows))
        self._spread(range(len(rows)))
        self._follow_selection()

    def change_rows(self, changed: Sequence[tuple[int, Row]]) -> None:
        """Show what has become of some rows."""
        self.model.change(changed)
        self._spread([place for place, _ in changed])
        if changed:
            self._follow_selection()

    def show_layers(self, layers: Sequence[Any]) -> None:
        """Offer these image layers."""
        self._menu.clear()
        if len(layers) > 1:
            every = self._menu.addAction("All image layers")
            every.triggered.connect(lambda: self.layers_requested.emit(list(layers)))
            self._menu.addSeparator()
        for layer in layers:
            action = self._menu.addAction(layer.name.replace("&", "&&"))
            action.triggered.connect(
                lambda _=False, layer=layer: self.layers_requested.emit([layer])
            )
        self.layers.setEnabled(bool(layers) and not self._running)

    def show_running(self, on: bool) -> None:
        """Let rows be cancelled while a batch runs, and the list be changed while none does."""
        self._running = on
        for button in (self.files, self.folder, self.layers):
            button.setEnabled(not on)
        self.layers.setEnabled(not on and bool(self._menu.actions()))
        self.remove.setText("Skip" if on else "Remove")
        tip = (
            "Leave out the selected images of this batch; one that runs is stopped."
            if on
            else "Take the selected images from the list (Del); their files stay."
        )
        self.remove.setToolTip(tip)
        self.remove.setAccessibleName("Skip the selected" if on else "Remove the selected")
        self._follow_selection()

    def select(self, place: int) -> None:
        """Select one row and scroll to it."""
        self.view.selectRow(place)
        self.view.scrollTo(self.model.index(place, 0))

    def selected(self) -> list[int]:
        """Return the selected rows in order."""
        return sorted(index.row() for index in self.view.selectionModel().selectedRows())

    def _follow_selection(self) -> None:
        rows = self.selected()
        self.remove.setEnabled(bool(rows))
        row = self.model.rows[rows[0]] if len(rows) == 1 else None
        text = row.problem if row is not None else ""
        if row is not None and row.has_result:
            text = "Double click to open the image and its labels."
        self.told.setText(text)
        self.told.setVisible(bool(text))

    def _spread(self, places: Sequence[int]) -> None:
        """Give a sentence the columns that its row has no numbers for, and lines enough."""
        line, last = self.fontMetrics().height(), TIME - STATE + 1
        for place in places:
            problem = bool(self.model.rows[place].problem)
            columns = last if problem else 1
            if self.view.columnSpan(place, STATE) != columns:
                self.view.setSpan(place, STATE, 1, columns)
            if problem:
                width = sum(self.view.columnWidth(one) for one in range(STATE, TIME + 1)) - _MARGIN
                text = self.model.index(place, STATE).data()
                flags = int(Qt.TextFlag.TextWordWrap)
                box = self.fontMetrics().boundingRect(QRect(0, 0, width, 1000), flags, text)
                self.view.setRowHeight(place, min(box.height(), _MOST_LINES * line) + 6)
            elif self.view.rowHeight(place) != line + 6:
                self.view.setRowHeight(place, line + 6)

    # What a person does

    def _ask_for(self, layer: Any, *_: bool) -> None:
        self.layers_requested.emit([layer])

    def _on_remove(self) -> None:
        rows = self.selected()
        if rows:
            (self.cancel_requested if self._running else self.remove_requested).emit(rows)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Take files and folders, unless a batch runs."""
        if self._paths(event) and not self._running:
            event.acceptProposedAction()

    dragMoveEvent = dragEnterEvent  # noqa: N815 - Qt's name

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Ask for what was dropped to be added."""
        paths = self._paths(event)
        if paths and not self._running:
            event.acceptProposedAction()
            self.paths_dropped.emit(paths)

    @staticmethod
    def _paths(event: Any) -> list[Path]:
        urls = event.mimeData().urls()
        return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
