"""Fits the settings to the corrections: the button, its progress, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.fitting.result import FitResult
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.wording import counted


class FitBox(QWidget):
    """Signals: ``fit_requested``, ``cancel_requested``, ``apply_requested``."""

    fit_requested = Signal()
    cancel_requested = Signal()
    apply_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.button = QPushButton()
        self.button.clicked.connect(self._on_clicked)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the fit")
        self.bar.setRange(0, 0)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.apply = QPushButton("Apply")
        self.apply.setToolTip("Use these settings; corrected objects stay as they are.")
        self.apply.clicked.connect(self.apply_requested)
        self.dismiss = QPushButton("Dismiss")
        self.dismiss.setToolTip("Keep the present settings.")
        self.dismiss.clicked.connect(self.show_idle)
        self._answer = QWidget()
        row = QHBoxLayout(self._answer)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.apply, self.dismiss):
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.button, self.bar, self.text, self._answer):
            column.addWidget(widget)
        self.show_idle()

    def _on_clicked(self) -> None:
        (self.cancel_requested if self._running else self.fit_requested).emit()

    def _show(self, text: str, running: bool = False, answer: bool = False) -> None:
        self._running = running
        self.button.setText("Cancel" if running else "Fit settings to my corrections")
        self.button.setToolTip(
            "Stop; the settings stay as they are."
            if running
            else "Search the settings that agree best with the objects that you accepted or "
            "edited and with the reviewed area; the network does not run."
        )
        self.bar.setVisible(running)
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self._answer.setVisible(answer)

    def show_idle(self) -> None:
        """Show only the button."""
        self._show("")

    def show_message(self, text: str) -> None:
        """Show a sentence beside the button."""
        self._show(text)

    def show_progress(self, progress: Progress) -> None:
        """Show what was found so far."""
        found = progress.metrics
        if "best" in found:
            text = f"{progress.done} settings tried: {found['before']:.3f} to {found['best']:.3f}."
        else:
            text = f"{progress.stage}…"
        self._show(text, running=True)

    def show_result(self, result: FitResult) -> None:
        """Show the scores before and after, and what would change."""
        before, after = result.before, result.after
        if not result.worthwhile:
            self._show(
                f"The present settings fit the {counted(result.objects, 'reviewed object')} best "
                f"(PQ {before.pq:.3f}, AP {before.ap:.3f})."
            )
            return
        changes = "; ".join(_changes(result.changes))
        self._show(
            f"On {counted(result.objects, 'reviewed object')}: PQ {before.pq:.3f} to "
            f"{after.pq:.3f}, AP {before.ap:.3f} to {after.ap:.3f}. {changes}.",
            answer=True,
        )


def _changes(changes: Mapping[str, tuple[Any, Any]]) -> list[str]:
    fields = PostParams.model_fields
    return [
        f"{fields[name].title or name}: {_short(old)} to {_short(new)}"
        for name, (old, new) in changes.items()
    ]


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
