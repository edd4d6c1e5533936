"""The widgets of the tab Fine-tune, in their groups."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cellseg.gui.boxes.gate import GateBox
from napari_cellseg.gui.boxes.group import group
from napari_cellseg.gui.boxes.lineage import LineageBox
from napari_cellseg.gui.boxes.sources import SourcesBox
from napari_cellseg.gui.boxes.training import TrainingBox
from napari_cellseg.gui.boxes.training_run import TrainingRunBox
from napari_cellseg.gui.boxes.unfinished import UnfinishedBox


class FineTuneView(QWidget):
    """Lays the parts out; connects nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.unfinished = UnfinishedBox()
        self.sources = SourcesBox()
        self.training = TrainingBox()
        self.run = TrainingRunBox()
        self.gate = GateBox()
        self.lineage = LineageBox()
        self._sources = group("Learn from", self.sources)
        self._teach = group("Teach", self.unfinished, self.training)
        self._running = group("Training", self.run)
        self._verdict = group("Verdict", self.gate)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        for box in (self._sources, self._teach, self._running, self._verdict):
            column.addWidget(box)
        column.addWidget(group("Models", self.lineage))
        column.addStretch(1)
        self._running.hide()
        self._verdict.hide()

    def show_running(self, on: bool) -> None:
        """Show the run in place of the button that starts it."""
        self._sources.setEnabled(not on)
        self._teach.setVisible(not on)
        self._running.setVisible(True)
        if on:
            self.show_verdict(False)

    def show_verdict(self, on: bool) -> None:
        """Show what came out, or not."""
        self._verdict.setVisible(on)
