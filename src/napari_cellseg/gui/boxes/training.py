"""How a model is taught: from which one, how long, and the button that starts it."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.zoo.store import ModelEntry
from napari_cellseg.gui.boxes.model_rows import model_rows
from napari_cellseg.gui.elided_combo import ElidedCombo
from napari_cellseg.gui.form import Form

PRESETS = {
    "quick": ("Quick", "About two minutes on a processor: enough for the first corrections."),
    "thorough": ("Thorough", "About half an hour on a processor: for many corrected images."),
}
_OWN = "own"
_SECTIONS = {
    "": ("minutes", "freeze", "learning_rate", "replay", "parent_share", "fit_post", "margin")
}


class TrainingBox(QWidget):
    """Chooses what a training depends on besides its data.

    Signals: ``parent_chosen(str)`` with the key of a model, ``settings_changed(FineTuneSettings)``,
    ``start_requested()``, ``export_requested()``.
    """

    parent_chosen = Signal(str)
    settings_changed = Signal(object)
    start_requested = Signal()
    export_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.combo = ElidedCombo()
        self.preset = QComboBox()
        self.name = QLineEdit()
        self.more = QToolButton()
        self.form = Form(FineTuneSettings.quick(), _SECTIONS)
        self.estimate = QLabel()
        self.button = QPushButton("Teach the model")
        self.elsewhere = QPushButton("Train elsewhere…")
        self.message = QLabel()
        self._dress()
        self._lay_out()
        self.combo.activated.connect(lambda row: self.parent_chosen.emit(self.combo.itemData(row)))
        self.preset.activated.connect(self._on_preset)
        self.form.changed.connect(self._on_form)
        self.more.toggled.connect(self._on_more)
        self.button.clicked.connect(lambda: self.start_requested.emit())
        self.elsewhere.clicked.connect(lambda: self.export_requested.emit())
        self.show_estimate("")
        self.show_message("")

    def _dress(self) -> None:
        self.combo.setAccessibleName("Parent model")
        self.combo.setToolTip("The model that learns; it stays as it is, the result is a new one.")
        for key, (title, tip) in PRESETS.items():
            self.preset.addItem(title, key)
            self.preset.setItemData(self.preset.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.preset.setAccessibleName("Preset")
        self.preset.setToolTip("How long and how carefully to train.")
        self.preset.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.name.setAccessibleName("Name of the new model")
        self.name.setToolTip("What the new model is called; letters, digits, '-', '_' and spaces.")
        self.more.setText("Settings")
        self.more.setCheckable(True)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setToolTip("Show the time budget and other settings; the preset sets them all.")
        self.more.setAccessibleName("Settings")
        for label in (self.estimate, self.message):
            label.setWordWrap(True)
        self.estimate.setAccessibleName("Estimate of time and memory")
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message.setAccessibleName("Message")
        self.button.setMinimumHeight(32)
        self.button.setAccessibleName("Teach the model")
        self.elsewhere.setAccessibleName("Train elsewhere")
        self.elsewhere.setToolTip(
            "Save data, settings and parent as one zip, for a computer with a GPU: there "
            "'napari-cellseg finetune FILE.zip' trains, and the result is installed here."
        )

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("&Parent", self.combo)
        form.addRow("P&reset", self.preset)
        row = QHBoxLayout()
        row.addWidget(self.more)
        row.addStretch(1)
        row.addWidget(self.elsewhere)
        self.folded = QWidget()
        inner = QVBoxLayout(self.folded)
        inner.setContentsMargins(0, 0, 0, 0)
        named = QFormLayout()
        named.setContentsMargins(0, 0, 0, 0)
        named.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        named.addRow("&Name", self.name)
        inner.addLayout(named)
        inner.addWidget(self.form)
        self.folded.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addLayout(row)
        for widget in (self.folded, self.estimate, self.button, self.message):
            column.addWidget(widget)

    @property
    def settings(self) -> FineTuneSettings:
        """What is chosen."""
        found: FineTuneSettings = self.form.params
        return found

    def show_models(self, entries: Mapping[str, ModelEntry], current: str) -> None:
        """List models by key and mark one."""
        rows, at = model_rows(entries, current, self)
        self.combo.setModel(rows)
        self.combo.setCurrentIndex(at if current in entries else -1)
        self.combo.setEnabled(bool(entries))

    def show_name(self, text: str) -> None:
        """Propose a name; one that was typed stays."""
        self.name.setPlaceholderText(text)

    @property
    def model_name(self) -> str:
        """What the new model shall be called."""
        return self.name.text().strip() or self.name.placeholderText()

    def show_estimate(self, text: str) -> None:
        """Say what a run would take; "" hides the line."""
        self.estimate.setText(text)
        self.estimate.setVisible(bool(text))

    def show_message(self, text: str) -> None:
        """Show one sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def allow(self, reason: str) -> None:
        """Enable the buttons, or say why they are not."""
        for button in (self.button, self.elsewhere):
            button.setEnabled(not reason)
        self.button.setToolTip(
            reason
            or "Train a new model from the parent in the background; it takes its place only if it "
            "is better."
        )

    def _on_preset(self, row: int) -> None:
        key = self.preset.itemData(row)
        if key in PRESETS:
            self.form.set_params(FineTuneSettings.preset(key), FineTuneSettings.preset(key))
            self._mark_preset()
            self.settings_changed.emit(self.settings)

    def _on_form(self, settings: FineTuneSettings) -> None:
        self._mark_preset()
        self.settings_changed.emit(settings)

    def _mark_preset(self) -> None:
        """Show which preset the settings are, or that they are the user's own."""
        same = [key for key in PRESETS if FineTuneSettings.preset(key) == self.settings]
        own = self.preset.findData(_OWN)
        if same and own >= 0:
            self.preset.removeItem(own)
        elif not same and own < 0:
            self.preset.addItem("Own settings", _OWN)
        self.preset.setCurrentIndex(self.preset.findData(same[0] if same else _OWN))

    def _on_more(self, shown: bool) -> None:
        self.folded.setVisible(shown)
        self.more.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
