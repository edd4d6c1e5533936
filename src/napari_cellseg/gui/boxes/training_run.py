"""A training that runs: stage, time that is left, pause, cancel, preview."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.boxes.curve import CurveBox
from napari_cellseg.gui.boxes.run import remaining

PAUSED = "Paused"
_RATE_AFTER = 2.0  # s: an earlier estimate of the time that is left jumps about


class TrainingRunBox(QWidget):
    """Shows one run; hidden while there is none.

    Signals: ``pause_requested(bool)`` (False to go on), ``cancel_requested()``,
    ``preview_requested()``.
    """

    pause_requested = Signal(bool)
    cancel_requested = Signal()
    preview_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = ""
        self._began = (0.0, 0)
        self._pausing = False
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setAccessibleName("Stage of the training")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the training")
        self.curve = CurveBox()
        self.pause = _button("Pause", "Wait after this batch; 'Go on' continues.")
        self.cancel = _button("Cancel", "Stop after this batch; what was learnt so far is kept.")
        self.preview = _button(
            "Preview on the view",
            "Show what the model would find now in the visible part of the image, as outlines.",
        )
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setAccessibleName("Message of the training")
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._lay_out()
        self.pause.clicked.connect(lambda: self.pause_requested.emit(not self._pausing))
        self.cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self.preview.clicked.connect(lambda: self.preview_requested.emit())
        self.hide()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.pause)
        row.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.status, self.bar, self.curve):
            column.addWidget(widget)
        column.addLayout(row)
        column.addWidget(self.preview)
        column.addWidget(self.message)

    def show_start(self) -> None:
        """Show a run that has just begun."""
        self._stage = ""
        self.bar.setRange(0, 0)
        self.status.setText("Starting…")
        self.curve.clear()
        self.show_pausing(False)
        self.show_preview(None)
        self.cancel.setEnabled(True)
        self.show_message("")
        self._show_work(True)
        self.show()

    def show_end(self, text: str) -> None:
        """Leave the curve and a sentence."""
        self._show_work(False)
        self.show_message(text)

    def _show_work(self, on: bool) -> None:
        for widget in (self.status, self.bar, self.pause, self.cancel, self.preview):
            widget.setVisible(on)

    def show_progress(self, progress: Progress) -> None:
        """Show a step and the time that is left of its stage."""
        now = time.monotonic()
        if progress.stage != self._stage or progress.done < self._began[1]:
            self._stage, self._began = progress.stage, (now, progress.done)
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        text = f"{progress.stage}…"
        if progress.stage == PAUSED:
            text = "Paused; 'Go on' continues."
        elif progress.total:
            text = f"{progress.stage} {progress.done} of {progress.total}"
            spent, made = now - self._began[0], progress.done - self._began[1]
            if made and spent >= _RATE_AFTER:
                left = spent / made * (progress.total - progress.done)
                text += f", about {remaining(left)} left" if left >= 1 else ""
        self.status.setText(text)
        if progress.message:
            self.show_message(progress.message)

    def show_pausing(self, on: bool) -> None:
        """Turn Pause into Go on, or back."""
        self._pausing = on
        self.pause.setEnabled(True)
        self.pause.setText("Go on" if on else "Pause")
        self.pause.setToolTip(
            "Continue the training." if on else "Wait after this batch; 'Go on' continues."
        )

    def show_cancelling(self) -> None:
        """Wait for the process to save its checkpoint."""
        for button in (self.pause, self.cancel, self.preview):
            button.setEnabled(False)
        self.status.setText("Cancelling; the checkpoint is being saved…")

    def show_preview(self, under_way: bool | None) -> None:
        """Tell whether a preview is being made; None where there is no view to show it on."""
        self.preview.setEnabled(under_way is False)
        self.preview.setText("Preparing the preview…" if under_way else "Preview on the view")

    def show_message(self, text: str) -> None:
        """Show one sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    button.setAccessibleName(title)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button
