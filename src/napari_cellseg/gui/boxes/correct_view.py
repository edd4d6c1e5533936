"""The widgets of the tab Correct, in their groups."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.fit import FitBox
from napari_cellseg.gui.boxes.group import group
from napari_cellseg.gui.boxes.outlines import OutlinesBox
from napari_cellseg.gui.boxes.recovery import RecoveryBox
from napari_cellseg.gui.boxes.review import ReviewBox
from napari_cellseg.gui.boxes.reviewed import ReviewedBox
from napari_cellseg.gui.boxes.tools import LabelsBox, ToolsBox
from napari_cellseg.gui.tools.registry import Tool


class CorrectView(QWidget):
    """Lays the parts out; connects nothing."""

    def __init__(self, tools: Iterable[tuple[str, Tool]]) -> None:
        super().__init__()
        self.recovery = RecoveryBox()
        self.labels = LabelsBox()
        self.tools = ToolsBox(tools)
        self.review = ReviewBox()
        self.reviewed = ReviewedBox()
        self.outlines = OutlinesBox()
        self.fit = FitBox()
        self._groups = [
            group("Tools", self.tools, self.outlines),
            group("Review", self.review),
            group("Reviewed area", self.reviewed),
            group("Settings", self.fit),
        ]
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(group("Labels", self.recovery, self.labels))
        for box in self._groups:
            column.addWidget(box)
        column.addStretch(1)

    def allow(self, on: bool) -> None:
        """Let labels be corrected, or not: there are none."""
        for box in self._groups:
            box.setEnabled(on)
