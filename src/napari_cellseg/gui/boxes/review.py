"""The review queue: which object is looked at and why, what can be said of it, how far one is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.gui.boxes.flips import FlipsBox
from napari_cellseg.session.corrections.review import Entry, QueueFilter, QueueProgress

KEYS = {"accept": "A", "skip": "S", "delete": "D", "previous": "Q", "next": "N"}
_TITLES = {
    "accept": ("Accept", "It is right: lock it and go on."),
    "skip": ("Skip", "Decide later and go on."),
    "delete": ("Delete", "It is no cell: delete it, on every plane it is on, and go on."),
    "previous": ("Previous", "Back to the object before."),
    "next": ("Next", "On to the next object that is open."),
}
_ANY = "Any class"
_LARGEST = 9_999_999  # px


class ReviewBox(QWidget):
    """Shows the queue and what can be decided.

    Signals: ``start_requested``, ``requested(str)`` with a key of `KEYS`, ``rest_requested`` to
    see which safer objects there are, ``rest_answered(bool)`` to accept them or not,
    ``filter_changed(QueueFilter)``.
    """

    start_requested = Signal()
    requested = Signal(str)
    rest_requested = Signal()
    rest_answered = Signal(bool)
    filter_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.start = QPushButton("Start review")
        self.start.setToolTip("Look at the objects one by one, the least certain first.")
        self.start.clicked.connect(self.start_requested)
        self.what = QLabel()
        self.what.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Reviewed objects")
        self.time = QLabel()
        self.time.setWordWrap(True)
        self.flips = FlipsBox()
        self.buttons = {name: self._button(name) for name in KEYS}
        self.rest = QPushButton("Accept the safer ones…")
        self.rest.setToolTip(
            "See which open objects are less at risk than this one, and accept them all."
        )
        self.rest.clicked.connect(self.rest_requested)
        self._make_question()
        self._make_filter()
        self._lay_out()
        self.show_idle()

    def _button(self, name: str) -> QPushButton:
        title, tip = _TITLES[name]
        button = QPushButton(title)
        button.setToolTip(f"{tip} ({KEYS[name]})")
        button.setAccessibleName(f"{title} object")
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda: self.requested.emit(name))
        return button

    def _make_question(self) -> None:
        self.question = QWidget()
        self._asked = QLabel()
        self._asked.setWordWrap(True)
        self.yes, self.no = QPushButton("Accept them"), QPushButton("Cancel")
        self.yes.clicked.connect(lambda: self.rest_answered.emit(True))
        self.no.clicked.connect(lambda: self.rest_answered.emit(False))
        row = QHBoxLayout()
        row.addWidget(self.yes)
        row.addWidget(self.no)
        column = QVBoxLayout(self.question)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._asked)
        column.addLayout(row)

    def _make_filter(self) -> None:
        self.smallest, self.largest = QSpinBox(), QSpinBox()
        for spin, name, value in (
            (self.smallest, "Smallest area", 0),
            (self.largest, "Largest area", 0),
        ):
            spin.setRange(0, _LARGEST)
            spin.setValue(value)
            spin.setSuffix(" px")
            spin.setKeyboardTracking(False)
            spin.setAccessibleName(f"{name} to review")
            spin.setToolTip(f"{name} of the objects that are shown.")
            spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            spin.valueChanged.connect(self._on_filter)
        self.largest.setSpecialValueText("any")
        self.kind = QComboBox()
        self.kind.setAccessibleName("Class to review")
        self.kind.setToolTip("Show the objects of one class only.")
        self.kind.activated.connect(self._on_filter)
        self.kind.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def _lay_out(self) -> None:
        self.details = QWidget()
        grid = QGridLayout()
        grid.setSpacing(3)
        for place, name in enumerate(("accept", "skip", "delete")):
            grid.addWidget(self.buttons[name], 0, 2 * place, 1, 2)
        grid.addWidget(self.buttons["previous"], 1, 0, 1, 3)
        grid.addWidget(self.buttons["next"], 1, 3, 1, 3)
        area = QHBoxLayout()
        area.addWidget(QLabel("Area"))
        area.addWidget(self.smallest, 1)
        area.addWidget(QLabel("to"))
        area.addWidget(self.largest, 1)
        inner = QVBoxLayout(self.details)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.flips)
        inner.addWidget(self.what)
        inner.addLayout(grid)
        inner.addWidget(self.rest)
        inner.addWidget(self.question)
        inner.addWidget(self.bar)
        inner.addWidget(self.time)
        inner.addLayout(area)
        inner.addWidget(self.kind)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.start)
        column.addWidget(self.details)

    @property
    def filter(self) -> QueueFilter:
        """Which objects are to be shown."""
        name = self.kind.currentData()
        classes = frozenset() if name is None else frozenset([name])
        return QueueFilter(self.smallest.value(), self.largest.value() or math.inf, classes)

    def _on_filter(self) -> None:
        self.filter_changed.emit(self.filter)

    # What is shown

    def show_idle(self) -> None:
        """Show only how to start."""
        self.start.setText("Start review")
        self.start.setEnabled(True)
        self.details.hide()
        self.question.hide()

    def show_rating(self) -> None:
        """Show that the objects are being rated."""
        self.start.setText("Rating the objects…")
        self.start.setEnabled(False)

    def show_started(self, classes: Sequence[str]) -> None:
        """Show the queue."""
        self.start.setText("Rate again")
        self.start.setEnabled(True)
        self.details.show()
        chosen = self.kind.currentData()
        self.kind.clear()
        self.kind.addItem(_ANY, None)
        for name in classes:
            self.kind.addItem(name, name)
        self.kind.setCurrentIndex(max(self.kind.findData(chosen), 0))
        self.kind.setVisible(bool(classes))

    def show_object(self, label: int | None, entry: Entry | None, planes: int = 1) -> None:
        """Show what is looked at, on how many planes it lies; None where nothing is left."""
        for name in ("accept", "skip", "delete"):
            self.buttons[name].setEnabled(label is not None)
        self.rest.setEnabled(label is not None)
        if label is None or entry is None:
            self.what.setText("Nothing is left to review.")
            return
        area = "" if math.isnan(entry.area) else f", {entry.area:.0f} px"
        area += f", on {planes} planes" if planes > 1 else ""
        decided = "" if entry.state == "open" else f" ({entry.state})"
        reason = f": {entry.reason}." if entry.reason else "."
        self.what.setText(f"Object {label}{area}{decided}. Risk {entry.risk:.0%}{reason}")

    def show_progress(self, progress: QueueProgress) -> None:
        """Show how far the review is, and how long the rest may take."""
        self.bar.setMaximum(max(progress.total, 1))
        self.bar.setValue(progress.done)
        self.bar.setFormat(f"{progress.done} of {progress.total}")
        parts = [f"{_clock(progress.elapsed)} so far"]
        if progress.remaining:
            parts.append(f"about {_clock(progress.remaining)} left")
        if progress.skipped:
            parts.append(f"{progress.skipped} skipped")
        self.time.setText(", ".join(parts) + ".")

    def ask_rest(self, count: int) -> None:
        """Ask whether to accept so many objects; 0 asks nothing."""
        self.question.setVisible(count > 0)
        things = "object that is" if count == 1 else "objects that are"
        self._asked.setText(f"Accept {count} open {things} safer than this one? They are marked.")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
