"""Offers to compare with the mirrored image, and says what it costs and how far it is."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_cellseg.core.progress import Progress

_HELP = (
    "Run the network once more, on the mirrored image, and rate the objects again: what changes "
    "is not sure. It needs the image and the model that the labels were made with."
)


class FlipsBox(QWidget):
    """A button, and while the network runs its progress.

    Signals: ``requested``, ``cancel_requested``.
    """

    requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.button = QPushButton()
        self.button.setAccessibleName("Compare with flips")
        self.button.clicked.connect(self._on_clicked)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the comparison with flips")
        self.note = QLabel()
        self.note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.button)
        column.addWidget(self.bar)
        column.addWidget(self.note)
        self.show_offer("")
        self.show_note("")

    def _on_clicked(self) -> None:
        if self._running:
            self.button.setText("Cancelling…")
            self.button.setEnabled(False)
            self.cancel_requested.emit()
        else:
            self.requested.emit()

    def show_offer(self, cost: str, done: bool = False) -> None:
        """Offer a comparison that takes `cost`, in words; or tell that it is done."""
        self._running = False
        self.bar.hide()
        self.button.setEnabled(not done)
        offer = f"Compare with flips ({cost})" if cost else "Compare with flips"
        self.button.setText("Compared with flips" if done else offer)
        self.button.setToolTip(_HELP)

    def show_progress(self, progress: Progress) -> None:
        """Show how far the network is."""
        if not self._running:
            self._running = True
            self.button.setEnabled(True)
            self.button.setText("Cancel the comparison")
            self.button.setToolTip("Stop it; the rating stays as it is.")
            self.show_note("")
            self.bar.show()
        self.bar.setMaximum(progress.total)
        self.bar.setValue(progress.done)
        share = "" if not progress.total else " %p %"
        self.bar.setFormat(progress.stage + share)

    def show_note(self, text: str) -> None:
        """Say in a sentence what came out, or why nothing can."""
        self.note.setText(text)
        self.note.setVisible(bool(text))
