"""Offers trainings that had not ended when napari did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job


class UnfinishedBox(QWidget):
    """Shows one training after the other; hidden if there is none.

    Signals: ``resume_requested(Job)``, ``discard_requested(Job)``.
    """

    resume_requested = Signal(object)
    discard_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: list[Job] = []
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.resume = QPushButton("Go on")
        self.resume.setToolTip("Continue this training where it stopped.")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete this training and its copy of the data; layers stay.")
        row = QHBoxLayout()
        for button in (self.resume, self.discard):
            button.setAccessibleName(f"{button.text()}: unfinished training")
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text)
        column.addLayout(row)
        self.resume.clicked.connect(lambda: self.resume_requested.emit(self._found[0]))
        self.discard.clicked.connect(lambda: self.discard_requested.emit(self._found[0]))
        self.hide()

    def show_jobs(self, found: Sequence[Job]) -> None:
        """Offer these trainings."""
        self._found = list(found)
        self.setVisible(bool(found))
        if not found:
            return
        job = found[0]
        when = _when(job.content.created)
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        self.text.setText(
            f"The training of '{job.name}' from '{job.parent_name}'{when} has not "
            f"ended: its last checkpoint is there.{more}"
        )

    def allow(self, on: bool) -> None:
        """Enable the buttons, or not while another training runs."""
        self.resume.setEnabled(on)
        self.discard.setEnabled(on)


def _when(created: str) -> str:
    try:
        when = datetime.fromisoformat(created).astimezone()
    except ValueError:
        return ""
    return f" ({when:%d %b, %H:%M})"
