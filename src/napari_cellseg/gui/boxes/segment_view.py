"""The widgets of the tab Segment, in their groups."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.group import group
from napari_cellseg.gui.boxes.image import ImageBox
from napari_cellseg.gui.boxes.live import LiveBox
from napari_cellseg.gui.boxes.model import ModelBox
from napari_cellseg.gui.boxes.no_image import EmptyBox
from napari_cellseg.gui.boxes.run import RunBox


class SegmentView(QWidget):
    """Lays the parts out; connects nothing."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.empty = EmptyBox()
        self.image = ImageBox(viewer)
        self.model = ModelBox()
        self.run = RunBox()
        self.live = LiveBox()
        self.copy = QPushButton("Copy as command")
        self.copy.setToolTip(
            "Put the command line and the recipe of the result on the clipboard: they give the "
            "same labels without napari."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(group("Image", self.empty, self.image))
        column.addWidget(group("Model", self.model))
        column.addWidget(group("Run", self.run))
        column.addWidget(group("Adjust live", self.live, self.copy))
        column.addStretch(1)

    def show_empty(self, empty: bool) -> None:
        """Show how to get an image, or the chosen one."""
        self.empty.setVisible(empty)
        self.image.setVisible(not empty)
