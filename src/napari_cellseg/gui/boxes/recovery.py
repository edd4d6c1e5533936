"""Offers corrections that were not saved when napari ended."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_cellseg.session.corrections.recovery import Found


class RecoveryBox(QWidget):
    """Shows the newest journal that was left behind; hidden if there is none.

    Signals: ``recover_requested(Found)``, ``discard_requested(Found)``.
    """

    recover_requested = Signal(object)
    discard_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: list[Found] = []
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.recover = QPushButton("Recover")
        self.recover.setToolTip("Open the labels as they were after the last correction.")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete these corrections: they cannot be recovered afterwards.")
        row = QHBoxLayout()
        for button in (self.recover, self.discard):
            button.setAccessibleName(f"{button.text()} unsaved corrections")
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text)
        column.addLayout(row)
        self.recover.clicked.connect(lambda: self._take(self.recover_requested))
        self.discard.clicked.connect(lambda: self._take(self.discard_requested))
        self.hide()

    def show_found(self, found: Sequence[Found]) -> None:
        """Offer these journals, one after the other."""
        self._found = list(found)
        self._show_next()

    def _take(self, signal: Signal) -> None:
        found = self._found.pop(0)
        self._show_next()
        signal.emit(found)

    def _show_next(self) -> None:
        self.setVisible(bool(self._found))
        if not self._found:
            return
        found = self._found[0]
        name = found.meta.get("about", {}).get("name", "labels")
        steps = "1 step" if found.operations == 1 else f"{found.operations} steps"
        when = found.when.astimezone().strftime("%d %b, %H:%M")
        damaged = "" if found.complete else " The newest part of them is damaged."
        more = f" ({len(self._found) - 1} more)" if len(self._found) > 1 else ""
        self.text.setText(
            f"'{name}' was corrected but not saved: {steps}, the last on {when}.{damaged}{more}"
        )
