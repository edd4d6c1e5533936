"""Device, scope, the button that runs and cancels, and what the run tells."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.progress import Progress

DEVICES = {
    "auto": "Automatic",
    "cuda": "NVIDIA GPU (cuda)",
    "mps": "Apple GPU (mps)",
    "cpu": "Processor (cpu)",
}
SCOPES = {
    "all": ("Whole image", "Every plane of the image."),
    "slice": ("This slice", "The plane that the viewer shows."),
    "view": ("This view", "The part of the plane that is visible in the viewer."),
    "region": ("Drawn region", "What you drew on a shapes layer."),
}
RUN_KEY = "Ctrl+Return"


class RunBox(QWidget):
    """Chooses where and how much to compute, and shows the progress."""

    device_changed = Signal(str)
    scope_changed = Signal(str)
    run_requested = Signal()
    cancel_requested = Signal()
    region_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.device = QComboBox()
        self.scope = QComboBox()
        self.device_note = QLabel()
        self.draw = QPushButton("Draw…")
        self.button = QPushButton()
        self.progress = QProgressBar()
        self.status = QLabel()
        self.message = QLabel()
        self._running = False
        self._started = 0.0
        self._lay_out()
        self.device.currentIndexChanged.connect(
            lambda _: self.device_changed.emit(self.device.currentData())
        )
        self.scope.currentIndexChanged.connect(self._on_scope)
        self.draw.clicked.connect(self.region_requested)
        self.button.clicked.connect(self._on_clicked)
        self.show_idle()
        self._on_scope()

    def _lay_out(self) -> None:
        for key, title in DEVICES.items():
            self.device.addItem(title, key)
        for combo in (self.device, self.scope):
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.device.setToolTip("What computes the network; 'Automatic' takes the fastest there is.")
        self.device.setAccessibleName("Device")
        for key, (title, tip) in SCOPES.items():
            self.scope.addItem(title, key)
            self.scope.setItemData(self.scope.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.scope.setToolTip("How much of the image to segment.")
        self.scope.setAccessibleName("Scope")
        self.draw.setToolTip("Add a shapes layer and draw the region in it.")
        self.button.setShortcut(QKeySequence(RUN_KEY))
        self.button.setMinimumHeight(32)
        self.progress.setTextVisible(True)
        for label in (self.device_note, self.status, self.message):
            label.setWordWrap(True)
        self.message.setAccessibleName("Message")
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        scope_row = QHBoxLayout()
        scope_row.addWidget(self.scope, 1)
        scope_row.addWidget(self.draw)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("&Device", self.device)
        form.addRow("", self.device_note)
        scope_label = QLabel("&Scope")
        scope_label.setBuddy(self.scope)
        form.addRow(scope_label, scope_row)
        self._form = form
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        for widget in (self.button, self.progress, self.status, self.message):
            column.addWidget(widget)

    def show_device_note(self, text: str) -> None:
        """Say which device would be used, and why."""
        self.device_note.setText(text)
        self._form.setRowVisible(self.device_note, bool(text))

    def show_message(self, text: str) -> None:
        """Show one sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def show_status(self, text: str) -> None:
        """Show what is going on or how it ended; "" hides the line."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def allow(self, possible: bool, reason: str) -> None:
        """Enable the button, or say why it is not; a running job can always be cancelled."""
        self.button.setEnabled(possible or self._running)
        if not self._running:
            self.button.setToolTip(reason or f"Segment the image ({RUN_KEY}).")

    @property
    def running(self) -> bool:
        """Whether the button cancels."""
        return self._running

    def show_running(self) -> None:
        """Turn the button into Cancel."""
        self._running = True
        self._started = time.monotonic()
        self.button.setText("Cancel")
        self._keep_shortcut()
        self.button.setToolTip(f"Stop; nothing partial is left behind ({RUN_KEY}).")
        self.button.setEnabled(True)
        self.progress.setRange(0, 0)
        self.progress.show()
        self.show_message("")
        self.show_status("Starting…")

    def show_cancelling(self) -> None:
        """Wait for the worker to stop."""
        self.button.setEnabled(False)
        self.show_status("Cancelling…")

    def show_idle(self) -> None:
        """Turn the button into Run."""
        self._running = False
        self.button.setText("Run")
        self._keep_shortcut()
        self.button.setEnabled(True)
        self.progress.hide()
        self.show_status("")

    def show_progress(self, progress: Progress) -> None:
        """Show a step and the time that is left of its stage."""
        self.progress.setRange(0, progress.total)
        self.progress.setValue(progress.done)
        text = f"{progress.stage}…"
        if progress.done == 0:
            self._started = time.monotonic()
        elif progress.total:
            text = f"{progress.stage} {progress.done} of {progress.total}"
            left = (time.monotonic() - self._started) / progress.done
            seconds = left * (progress.total - progress.done)
            text += f", {remaining(seconds)} left" if seconds >= 1 else ""
        self.show_status(text)
        if progress.message:
            self.show_message(progress.message)

    def _keep_shortcut(self) -> None:
        self.button.setShortcut(QKeySequence(RUN_KEY))  # Qt drops it with every change of text

    def _on_scope(self) -> None:
        scope = self.scope.currentData()
        self.draw.setVisible(scope == "region")
        self.scope_changed.emit(scope)

    def _on_clicked(self) -> None:
        (self.cancel_requested if self._running else self.run_requested).emit()


def remaining(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 60:
        return f"{round(seconds)} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
