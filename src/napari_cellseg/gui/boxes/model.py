"""Choose a model, read its card, and say how large the objects are."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QStandardItem
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.zoo.store import ModelEntry, find_model, list_models
from napari_cellseg.gui.boxes.diameter import DiameterBox
from napari_cellseg.gui.boxes.model_rows import model_rows
from napari_cellseg.gui.elided_combo import ElidedCombo

if TYPE_CHECKING:
    from napari_cellseg.core.zoo.card import Card, DataSource

_FROM_FILE = "from-file"
_METRICS = {"ap50": "AP50", "pq": "PQ"}  # the headline ones, as they are shown
_HELP = "The trained network; the card below says what it was trained on."
_FILES = "Models (*.zip card.json);;All files (*)"
NO_MODEL = "No model is installed: choose 'From file…' and take a model's zip or folder."


class ModelBox(QWidget):
    """The model, its card and the object diameter.

    ``changed`` is emitted when another model or diameter is chosen, ``failed(CellsegError)`` when
    a folder holds no model.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: dict[str, ModelEntry] = {}
        self._current = ""
        self.combo = ElidedCombo()
        self.combo.setAccessibleName("Model")
        self.combo.setToolTip(_HELP)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.details = QLabel()
        self.details.setWordWrap(True)
        self.details.setTextFormat(Qt.TextFormat.RichText)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.details.setOpenExternalLinks(True)
        self.more = QToolButton()
        self.diameter = DiameterBox()
        self._lay_out()
        self.combo.activated.connect(self._on_activated)
        self.more.toggled.connect(self._on_more)
        self.diameter.changed.connect(self.changed)
        self.refresh_models()

    def _lay_out(self) -> None:
        self.more.setText("Model card")
        self.more.setCheckable(True)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setToolTip("Show what the model was trained on, its licence and its scores.")
        self.details.hide()
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("&Model", self.combo)
        row = QHBoxLayout()
        row.addWidget(self.more)
        row.addStretch(1)
        lower = QFormLayout()
        lower.setContentsMargins(0, 0, 0, 0)
        lower.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        lower.addRow("Diameter", self.diameter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addWidget(self.summary)
        column.addLayout(row)
        column.addWidget(self.details)
        column.addLayout(lower)

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model, None if none is installed."""
        return self._entries.get(self._current)

    def refresh_models(self) -> None:
        """List the models that are installed now and keep the choice."""
        kept = {k: e for k, e in self._entries.items() if e.group == "file"}
        self._entries = {str(entry.folder): entry for entry in list_models()} | kept
        if self._current not in self._entries:
            self._current = next(iter(self._entries), "")
        self._fill()

    def _fill(self) -> None:
        rows, current = model_rows(self._entries, self._current, self)
        action = QStandardItem("From file…")
        action.setData(_FROM_FILE, Qt.ItemDataRole.UserRole)
        action.setToolTip("Choose a model that someone gave you, a zip or a folder.")
        rows.appendRow(action)
        if not self._entries:
            missing = QStandardItem("No model installed")
            missing.setFlags(Qt.ItemFlag.NoItemFlags)
            rows.insertRow(0, missing)
        self.combo.setModel(rows)
        self.combo.setCurrentIndex(current)
        self._show_card()

    def _on_activated(self, row: int) -> None:
        key = self.combo.itemData(row)
        if key == _FROM_FILE:
            self._fill()  # the entry is an action: go back to the model that was chosen
            path, _ = QFileDialog.getOpenFileName(
                self, "Choose a model: its zip, or card.json in its folder", filter=_FILES
            )
            if path:
                self.open_model(Path(path))
        elif key in self._entries:
            self.choose(key)

    def choose(self, key: str) -> None:
        """Choose a model by its name or folder."""
        for folder, entry in self._entries.items():
            if key in (folder, entry.name) and folder != self._current:
                self._current = folder
                self._fill()
                self.changed.emit()
                return

    def open_model(self, path: Path) -> None:
        """Add the model in a zip or a folder (or of a file in it) to the list and choose it."""
        try:
            entry = find_model(str(path))
        except CellsegError as error:
            self.failed.emit(error)
            return
        self._entries[str(entry.folder)] = entry
        self.choose(str(entry.folder))

    def _on_more(self, shown: bool) -> None:
        self.details.setVisible(shown)
        self.more.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)

    def _show_card(self) -> None:
        entry = self.entry
        self.more.setVisible(entry is not None)
        if entry is None:
            self.summary.setText(NO_MODEL)
            self.details.setText("")
            return
        self.combo.setToolTip(f"{entry.card.title or entry.name}\n{_HELP}")
        self.summary.setText(entry.card.description)
        self.details.setText(card_html(entry.card))
        self.diameter.show_model(entry.card)
        self.diameter.propose(entry.card.expected_diameter)


def card_html(card: Card) -> str:
    """Return what a card says, as rich text of a few lines."""
    kinds = {"gray": "one channel (fluorescence or bright field)", "rgb": "colour"}
    channels = " or ".join(kinds.get(kind, kind) for kind in card.channels)
    low, high = card.diameter_range
    size = f"{card.object_diameter:g} px (trained on {low:g} to {high:g} px)"
    if card.enlarged_diameter:
        size += f", smaller ones shown enlarged to {card.enlarged_diameter:g} px"
    if card.expected_diameter:
        size += f", shown rescaled from {card.expected_diameter:g} px"
    if card.pixel_size:
        size += f", {card.pixel_size:g} µm a pixel"
    rows = [
        ("Images", channels),
        ("Objects", size),
        ("Network", card.architecture),
        ("Speed", _speed(card)),
        ("Licence", card.licence),
        ("Trained on", "; ".join(_source(source) for source in card.data)),
        ("Held-out scores", "<br>".join(_score(*item) for item in card.scores.items())),
    ]
    lines = "".join(
        f"<tr><td style='padding-right:8px'><b>{title}</b></td><td>{text}</td></tr>"
        for title, text in rows
        if text
    )
    return f"<table>{lines}</table>"


def _speed(card: Card) -> str:
    seconds = card.seconds_per_megapixel
    return f"{seconds:g} s a megapixel on one processor core" if seconds else ""


def _source(source: DataSource) -> str:
    told = ", ".join(filter(None, (source.licence, _images(source.images))))
    name = _readable(source.name)
    return escape(f"{name} ({told})" if told else name)


def _score(name: str, scores: dict[str, float]) -> str:
    """Return the scores on one data set; only the headline ones where these are among them."""
    metrics = [key for key in _METRICS if key in scores]
    metrics = metrics or [key for key in scores if key != "images"]
    values = ", ".join(f"{_METRICS.get(key, _readable(key))} {scores[key]:.2f}" for key in metrics)
    count = _images(round(scores.get("images", 0)))
    told = f"{_readable(name.removeprefix('val: '))}: {values}"
    return escape(f"{told} ({count})" if count else told)


def _images(count: int) -> str:
    return f"{count} image" + ("" if count == 1 else "s") if count else ""


def _readable(name: str) -> str:
    return name.replace("_", " ")
