"""The tree of models: which one was taught from which, with their scores."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHeaderView,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.session.finetuning.lineage import Node

_COLUMNS = ("Model", "AP", "PQ")
_HEIGHT = (80, 220)  # px


class LineageBox(QWidget):
    """Shows the tree when it is unfolded.

    Signals: ``shown()`` when it is unfolded, ``choose_requested(str)`` with the key of a model.
    """

    shown = Signal()
    choose_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.more = QToolButton()
        self.more.setText("Tree of models")
        self.more.setCheckable(True)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setToolTip("Show which model was taught from which, and how well they do.")
        self.more.setAccessibleName("Tree of models")
        self.tree = QTreeWidget()
        self.tree.setAccessibleName("Models and their children")
        self.tree.setToolTip("Scores on the data that each model was judged by.")
        self.tree.setHeaderLabels(_COLUMNS)
        self.tree.setIndentation(14)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.use = QPushButton("Use the selected model")
        self.use.setToolTip("Choose it in the tab Segment.")
        self.use.setAccessibleName("Use the selected model")
        self.use.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column_of = QVBoxLayout(self)
        column_of.setContentsMargins(0, 0, 0, 0)
        for widget in (self.more, self.tree, self.use):
            column_of.addWidget(widget)
        self.more.toggled.connect(self._on_more)
        self.tree.currentItemChanged.connect(lambda *_: self.use.setEnabled(bool(self._key())))
        self.use.clicked.connect(lambda: self.choose_requested.emit(self._key()))
        self._on_more(False)

    def show_tree(self, roots: Sequence[Node], current: str) -> None:
        """Show the models; the one with the key `current` in bold."""
        self.tree.clear()
        for node in roots:
            self.tree.addTopLevelItem(_item(node, current))
        self.tree.expandAll()
        rows = sum(node.size for node in roots) + 2
        height = rows * max(self.tree.sizeHintForRow(0), 18)
        self.tree.setFixedHeight(min(max(height, _HEIGHT[0]), _HEIGHT[1]))
        self.use.setEnabled(False)

    @property
    def unfolded(self) -> bool:
        """Whether the tree can be seen."""
        return bool(self.more.isChecked())

    def _key(self) -> str:
        item = self.tree.currentItem()
        return "" if item is None else str(item.data(0, Qt.ItemDataRole.UserRole) or "")

    def _on_more(self, shown: bool) -> None:
        self.tree.setVisible(shown)
        self.use.setVisible(shown)
        self.more.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        if shown:
            self.shown.emit()


def _item(node: Node, current: str) -> QTreeWidgetItem:
    scores = [f"{node.scores[key]:.2f}" if key in node.scores else "" for key in ("ap50", "pq")]
    item = QTreeWidgetItem([node.title, *scores])
    item.setData(0, Qt.ItemDataRole.UserRole, node.key)
    item.setToolTip(0, node.told)
    for column, told in enumerate(node.where for _ in scores):
        item.setToolTip(column + 1, told)
        item.setTextAlignment(column + 1, Qt.AlignmentFlag.AlignRight)
    if node.key and node.key == current:
        font = item.font(0)
        font.setBold(True)
        item.setFont(0, font)
    if not node.key:
        item.setFlags(Qt.ItemFlag.ItemIsEnabled)
    for child in node.children:
        item.addChild(_item(child, current))
    return item
