"""The live panel: presets, a control for every post-processing setting, what each rule removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.registry import STAGES, Source, fields_of, stage_of
from napari_cellseg.gui.classes import legend
from napari_cellseg.gui.form import Form
from napari_cellseg.gui.tab_order import put_in_tab_order
from napari_cellseg.session import presets

_HEADINGS = {
    "threshold": "Foreground",
    "split": "Touching cells",
    "grow": "Outlines",
    "clean": "Clean-up",
}
_CUSTOM = "Custom"


class LiveBox(QWidget):
    """Shows and changes post-processing settings.

    Signals: ``changed(PostParams)`` while a control moves, ``highlight_requested(str)`` with the
    rule whose removed objects are to be shown ("" for none), ``colour_requested(bool)`` when
    objects are to be coloured by class or not, ``failed(CellsegError)``.
    """

    changed = Signal(object)
    highlight_requested = Signal(str)
    colour_requested = Signal(bool)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._base = PostParams()
        self.preset = QComboBox()
        self.save = QPushButton("Save…")
        self.reset = QPushButton("Reset")
        sections: dict[str, list[str]] = {_HEADINGS[stage]: [] for stage in STAGES}
        for name in PostParams.model_fields:
            sections[_HEADINGS[stage_of(name)]].append(name)
        self.form = Form(self._base, sections)
        self.by_class = QCheckBox("Colour by class")
        self.legend = QLabel()
        self.removed_note = QLabel()
        self.rules: dict[str, QPushButton] = {}
        self._rules_column = QVBoxLayout()
        self._lay_out()
        self.form.changed.connect(self._on_form)
        self.preset.activated.connect(self._on_preset)
        self.save.clicked.connect(self._on_save)
        self.reset.clicked.connect(lambda: self._take(self._base))
        self.by_class.toggled.connect(self.colour_requested)
        self._fill_presets()
        self.show_source("maps")
        self.show_types(())
        self.show_removed({})

    def _lay_out(self) -> None:
        self.preset.setToolTip("Named settings to start from; they keep the model's own defaults.")
        self.preset.setAccessibleName("Preset")
        self.save.setToolTip("Keep the settings below under a name of your own.")
        self.reset.setToolTip("Go back to the settings that come with the model.")
        row = QHBoxLayout()
        row.addWidget(self.preset, 1)
        row.addWidget(self.save)
        row.addWidget(self.reset)
        self.removed_note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.form)
        self.by_class.setToolTip("Give all objects of a class one colour.")
        self.legend.setWordWrap(True)
        column.addWidget(self.by_class)
        column.addWidget(self.legend)
        column.addWidget(self.removed_note)
        column.addLayout(self._rules_column)
        self._rules_column.setSpacing(2)

    def show_source(self, source: Source) -> None:
        """Show only the settings that matter for what the model predicts."""
        self.form.hide_fields(set(PostParams.model_fields) - set(fields_of(source)))

    def show_types(self, types: tuple[str, ...]) -> None:
        """Offer colours by class for a model that tells these object types apart."""
        self.legend.setText(legend(types))
        for widget in (self.by_class, self.legend):
            widget.setVisible(bool(types))

    def show_params(self, params: Any, base: Any) -> None:
        """Show settings; `base` are those that the model brings along."""
        self._base = base
        self.form.set_params(params, base)
        self._show_preset()

    def _on_form(self, params: Any) -> None:
        self._show_preset()
        self.changed.emit(params)

    def _take(self, params: Any) -> None:
        self.form.set_params(params)
        self._show_preset()
        self.changed.emit(params)

    def _fill_presets(self) -> None:
        self.preset.clear()
        for name in presets.all_presets(self._base):
            self.preset.addItem(name)
        self.preset.addItem(_CUSTOM)
        self._show_preset()

    def _show_preset(self) -> None:
        """Name the preset that the settings are, if any."""
        for name, changes in presets.all_presets(self._base).items():
            if presets.apply(self._base, changes) == self.form.params:
                self.preset.setCurrentText(name)
                return
        self.preset.setCurrentText(_CUSTOM)

    def _on_preset(self) -> None:
        changes = presets.all_presets(self._base).get(self.preset.currentText())
        if changes is None:
            self._show_preset()
        else:
            self._take(presets.apply(self._base, changes))

    def _on_save(self) -> None:
        name, agreed = QInputDialog.getText(self, "Save preset", "Name of the preset:")
        if agreed and name.strip():
            self.save_preset(name.strip())

    def save_preset(self, name: str) -> None:
        """Keep the settings as a preset of the user's own."""
        try:
            presets.save(name, self._base, self.form.params)
        except CellsegError as error:
            self.failed.emit(error)
        self._fill_presets()

    def show_removed(self, counts: Mapping[str, int]) -> None:
        """Show how many objects each rule removed; a rule that is highlighted stays so."""
        for rule, button in list(self.rules.items()):
            if not counts.get(rule):
                if button.isChecked():
                    self.highlight_requested.emit("")
                self._rules_column.removeWidget(button)
                button.deleteLater()
                del self.rules[rule]
        for rule, count in counts.items():
            if count:
                self._rule_button(rule).setText(f"{rule_title(rule)}: {count} removed")
        put_in_tab_order(self.by_class, self.rules.values())
        self.removed_note.setText("Removed objects (click to show them):" if self.rules else "")
        self.removed_note.setVisible(bool(self.rules))

    def _rule_button(self, rule: str) -> QPushButton:
        if rule not in self.rules:
            button = QPushButton()
            button.setCheckable(True)
            button.setToolTip(
                "Show these objects in the viewer; click one there to bring it back for good."
            )
            button.toggled.connect(lambda on, rule=rule: self._on_rule(rule, on))
            self._rules_column.addWidget(button)
            self.rules[rule] = button
        return self.rules[rule]

    def _on_rule(self, rule: str, on: bool) -> None:
        for other, button in self.rules.items():
            if on and other != rule and button.isChecked():
                button.blockSignals(True)
                button.setChecked(False)
                button.blockSignals(False)
        self.highlight_requested.emit(rule if on else "")


def rule_title(rule: str) -> str:
    """Return what the parameter behind a rule is called in the form."""
    field = PostParams.model_fields.get(rule)
    return (field.title if field is not None else None) or rule.replace("_", " ").capitalize()
