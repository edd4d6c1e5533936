"""What a comparison found: scores, their curve, and the errors to go through."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QListView, QVBoxLayout, QWidget

from napari_cellseg.core.agreement.error_list import ErrorList
from napari_cellseg.core.agreement.intervals import Interval
from napari_cellseg.core.agreement.result import Agreements
from napari_cellseg.core.wording import counted
from napari_cellseg.gui.boxes.errors_model import ErrorsModel
from napari_cellseg.gui.boxes.group import wide_button
from napari_cellseg.gui.boxes.plot_area import PlotArea
from napari_cellseg.gui.elided_combo import ElidedCombo

_CURVE_HEIGHT, _LIST_HEIGHT = 150, 140  # px
_SCORES = {
    "ap50": "AP at 0.5",
    "ap75": "AP at 0.75",
    "map": "AP 0.5 to 0.95",
    "f1_50": "F1 at 0.5",
    "pq": "PQ",
    "aji": "AJI",
    "dice": "Dice",
    "iou": "Pixel IoU",
}
_SCORES_TIP = (
    "AP at an IoU: share of right objects among right, missed and extra ones; F1: harmonic mean of "
    "precision and recall; PQ: panoptic quality; AJI: aggregated Jaccard index; Dice and IoU: "
    "overlap of the foreground. Behind them: 95 % interval over the objects."
)


class CompareResultBox(QWidget):
    """Hidden until there is something.

    Signals: ``kind_chosen()``, ``error_chosen(int)`` with its place in the list,
    ``report_requested()``.
    """

    kind_chosen = Signal()
    error_chosen = Signal(int)
    report_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make_scores()
        self._make_list()
        steps = QHBoxLayout()
        for widget in (self.previous, self.place, self.next):
            steps.addWidget(widget, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.scores, self.curve, self.kinds, self.list):
            column.addWidget(widget)
        column.addLayout(steps)
        column.addWidget(self.report)
        self.hide()

    def _make_scores(self) -> None:
        self.scores = QLabel()
        self.scores.setTextFormat(Qt.TextFormat.RichText)
        self.scores.setToolTip(_SCORES_TIP)
        self.scores.setAccessibleName("Scores of the comparison")
        self.scores.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.curve = PlotArea(
            "Average precision over the IoU",
            "AP (line) and F1 (dashed) over the IoU that a match must reach; the bands hold them "
            "with 95 % certainty.",
            _CURVE_HEIGHT,
        )

    def _make_list(self) -> None:
        self.kinds = ElidedCombo()
        self.kinds.setAccessibleName("Kind of errors")
        self.kinds.setToolTip("Which errors are listed; the worst comes first.")
        self.kinds.activated.connect(lambda _: self.kind_chosen.emit())
        self.model = ErrorsModel(self)
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setUniformItemSizes(True)
        self.list.setFixedHeight(_LIST_HEIGHT)
        self.list.setAccessibleName("Errors")
        self.list.setToolTip("Click an error to see it in the image.")
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self.previous = wide_button("Previous", "Back to the error before.")
        self.next = wide_button("Next", "On to the next error.")
        self.previous.clicked.connect(lambda: self._step(-1))
        self.next.clicked.connect(lambda: self._step(1))
        self.place = QLabel()
        self.place.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.place.setAccessibleName("Place in the list of errors")
        self.report = wide_button(
            "Save report…", "Write scores, curve and pictures of the worst errors as a web page."
        )
        self.report.clicked.connect(lambda: self.report_requested.emit())

    def _on_current(self) -> None:
        row = self.list.currentIndex().row()
        self._show_place()
        if row >= 0:
            self.error_chosen.emit(row)

    def _step(self, by: int) -> None:
        count, row = self.model.rowCount(), self.list.currentIndex().row()
        if count:
            there = (row + by) % count if row >= 0 else (0 if by > 0 else count - 1)
            self.list.setCurrentIndex(self.model.index(there, 0))

    def _show_place(self) -> None:
        count, row = self.model.rowCount(), self.list.currentIndex().row()
        self.place.setText(f"{row + 1} of {count}" if row >= 0 else str(count))
        for button in (self.previous, self.next):
            button.setEnabled(count > 0)

    def show_result(self, result: Agreements | None) -> None:
        """Show scores and errors; None shows nothing."""
        self.setVisible(result is not None)
        if result is None:
            self.show_errors(None)
            return
        rows = [_score(title, result.summary[key]) for key, title in _SCORES.items()]
        told = f"{counted(result.n_labels, 'object')}; {result.n_reference} in the reference."
        self.scores.setText(f"<p>{told}</p><table>{''.join(rows)}</table>")

    def show_kinds(self, kinds: Sequence[tuple[str, int]]) -> None:
        """List kinds of errors by title and code, 0 for all of them."""
        chosen = self.kinds.currentData()
        self.kinds.clear()
        for title, code in kinds:
            self.kinds.addItem(title, code)
        self.kinds.setCurrentIndex(max(self.kinds.findData(chosen), 0))

    @property
    def kind(self) -> int:
        """Code of the kind of errors to list, 0 for all."""
        return int(self.kinds.currentData() or 0)

    def show_errors(self, errors: ErrorList | None) -> None:
        """List errors; none of them is chosen."""
        self.model.show(errors)
        self._show_place()


def _score(title: str, found: Interval) -> str:
    limits = "" if found.low is None else f"{found.low:.2f} to {found.high:.2f}"
    return (
        f"<tr><td>{title}&nbsp;&nbsp;</td><td align='right'><b>{found.value:.3f}</b></td>"
        f"<td>&nbsp;&nbsp;{limits}</td></tr>"
    )
