"""The verdict on a new model: it and its parent side by side, and what to do with it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.judgement.gate import Comparison, GateReport

_METRICS = {"ap50": "AP", "map": "mAP", "pq": "PQ", "aji": "AJI", "dice": "Dice"}
_TIP = (
    "AP: average precision at IoU 0.5; mAP: its mean over IoU 0.5 to 0.95; PQ: panoptic quality; "
    "AJI: aggregated Jaccard index; Dice: overlap of the foreground. The interval holds the "
    "difference with 95 % certainty."
)


class GateBox(QWidget):
    """Shows what the gate found; hidden until there is something.

    Signals: ``use_requested()`` for the new model, ``keep_requested()`` for the parent,
    ``again_requested()`` to segment again with the new one.
    """

    use_requested = Signal()
    keep_requested = Signal()
    again_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setTextFormat(Qt.TextFormat.RichText)
        self.title.setAccessibleName("Verdict")
        self.reason = QLabel()
        self.reason.setWordWrap(True)
        self.reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.reason.setAccessibleName("Reason of the verdict")
        self.table = QLabel()
        self.table.setTextFormat(Qt.TextFormat.RichText)
        self.table.setWordWrap(True)
        self.table.setToolTip(_TIP)
        self.table.setAccessibleName("Scores of parent and new model")
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.again = _button(
            "Run again with it", "Segment the image again; corrected objects stay as they are."
        )
        self.use = _button("Use the new model", "Choose it in the tab Segment.")
        self.keep = _button("Keep the parent", "Choose the parent in the tab Segment.")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setAccessibleName("Message of the verdict")
        self._name = self._parent = ""
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.title,
            self.reason,
            self.table,
            self.again,
            self.use,
            self.keep,
            self.message,
        ):
            column.addWidget(widget)
        self.again.clicked.connect(lambda: self.again_requested.emit())
        self.use.clicked.connect(lambda: self.use_requested.emit())
        self.keep.clicked.connect(lambda: self.keep_requested.emit())
        self.hide()

    def show_report(self, name: str, parent: str, report: GateReport | None, reason: str) -> None:
        """Show scores and verdict.

        Parameters
        ----------
        name, parent
            What the new model and its parent are called.
        report
            What was measured; None if that cannot be read.
        reason
            The verdict in words.
        """
        self.reason.setText(reason)
        parts = []
        if report is not None:
            parts.append(_section("On corrections held out", report.new))
            if report.replay is not None:
                parts.append(_section(f"On data of {parent}", report.replay))
        self.table.setText("".join(parts))
        self.table.setVisible(bool(parts))
        self._name, self._parent = name, parent
        self.show()

    def show_used(self, accepted: bool, name: str) -> None:
        """Say that the new model is chosen in the tab Segment, and what it is called there."""
        self._name = name
        self.title.setText(f"<b>'{escape(self._name)}' is in use.</b>")
        self._offer(
            again=True,
            use="",
            keep="Roll back" if accepted else "Keep the parent",
            keep_tip=f"Choose '{self._parent}' again; the new model stays in the list.",
        )

    def show_kept(self, accepted: bool, installed: bool) -> None:
        """Say that the parent is, or stays, chosen."""
        self.title.setText(f"<b>The parent '{escape(self._parent)}' stays in use.</b>")
        self._offer(
            again=False,
            use="Use the new model" if accepted or installed else "Use it anyway",
            use_tip=f"Choose '{self._name}' in the tab Segment.",
            keep="" if installed else "Keep the parent",
            keep_tip="Drop the new model; the corrections stay.",
        )

    def show_busy(self, text: str) -> None:
        """Say what is being done; nothing can be asked for meanwhile."""
        self.title.setText(text)
        self._offer(again=False, use="", keep="")

    def show_message(self, text: str) -> None:
        """Show one sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def _offer(
        self, *, again: bool, use: str, keep: str, use_tip: str = "", keep_tip: str = ""
    ) -> None:
        self.again.setVisible(again)
        for button, text, tip in ((self.use, use, use_tip), (self.keep, keep, keep_tip)):
            button.setVisible(bool(text))
            button.setText(text)
            button.setAccessibleName(text)
            button.setToolTip(tip)
        self.show_message("")


def _section(title: str, found: Comparison) -> str:
    """Return a table of scores as rich text."""
    images = "1 image" if found.images == 1 else f"{found.images} images"
    rows = [
        "<tr><td></td><td align='right'>parent&nbsp;</td><td align='right'>&nbsp;new&nbsp;</td>"
        "<td align='right'>&nbsp;difference</td></tr>"
    ]
    for key, name in _METRICS.items():
        gain = found.metrics.get(key)
        if gain is None:
            continue
        rows.append(
            f"<tr><td>{name}&nbsp;</td><td align='right'>{gain.parent:.2f}&nbsp;</td>"
            f"<td align='right'>&nbsp;<b>{gain.child:.2f}</b>&nbsp;</td>"
            f"<td align='right'>&nbsp;{gain.difference:+z.2f} "
            f"({gain.low:+z.2f} to {gain.high:+z.2f})</td></tr>"
        )
    told = f"{escape(title)}: {found.objects} objects, {images}"
    return f"<p style='margin:4px 0 0 0'>{told}</p><table>{''.join(rows)}</table>"


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    button.setAccessibleName(title)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button
