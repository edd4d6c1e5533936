"""What the tab shows while there is no image: how to get one."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_cellseg.core.samples import SAMPLES


class EmptyBox(QWidget):
    """``sample_requested(str)`` is emitted with the name of the chosen sample image."""

    sample_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        text = QLabel("No image is open yet.\nDrag a file into the window, or try a sample image.")
        text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        text.setWordWrap(True)
        self.button = QPushButton("Open a sample image")
        self.button.setToolTip("Public-domain images that come with the plugin.")
        menu = QMenu(self.button)
        for sample in SAMPLES.values():
            action = menu.addAction(sample.title)
            action.triggered.connect(
                lambda _=False, name=sample.name: self.sample_requested.emit(name)
            )
        self.button.setMenu(menu)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(self.button)
