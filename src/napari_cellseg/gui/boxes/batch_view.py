"""The widgets of the tab Batch, in their groups."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.batch_images import BatchImagesBox
from napari_cellseg.gui.boxes.batch_order import BatchOrderBox
from napari_cellseg.gui.boxes.group import group


class BatchView(QWidget):
    """Lays the parts out; connects nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.images = BatchImagesBox()
        self.order = BatchOrderBox()
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(group("Images", self.images))
        column.addWidget(group("Segment all of them", self.order))
        column.addStretch(1)
