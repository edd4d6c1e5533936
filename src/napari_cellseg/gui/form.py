"""Make a form from the fields of a Params class: titles, tooltips and controls follow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_cellseg.core.components import Params
from napari_cellseg.gui.controls import Control, extra, make_control, wide_enough

_LABEL_WIDTH = 100  # px at least; longer titles wrap
_LABEL_DIGITS = 11  # as wide as the longest word, whatever the size of the font


class Form(QWidget):
    """Controls for fields of a Params class; ``changed`` is emitted with the new values.

    A field whose ``json_schema_extra`` holds ``"only_if": {other field: value}`` is shown only
    while the other field has that value. Labels of values that differ from the default are bold.

    Parameters
    ----------
    params
        The values to show first.
    sections
        Fields to show, in this order, by heading; None for all that a control exists for.
    """

    changed = Signal(object)

    def __init__(
        self,
        params: Params,
        sections: Mapping[str, Sequence[str]] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._fields = type(params).model_fields
        self._params = self._defaults = params
        self._hidden: frozenset[str] = frozenset()
        self.controls: dict[str, Control] = {}
        self.labels: dict[str, QLabel] = {}
        self._rows = QFormLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for heading, names in (sections or {"": list(self._fields)}).items():
            if heading:
                self._rows.addRow(_heading(heading))
            for name in names:
                self._add(name, self._fields[name])
        self._fit_font()
        self.set_params(params)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Leave titles room when the font changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_font()

    def _fit_font(self) -> None:
        for label in self.labels.values():
            label.setFixedWidth(wide_enough(self, _LABEL_DIGITS, _LABEL_WIDTH))

    def _add(self, name: str, field: FieldInfo) -> None:
        control = make_control(field)
        if control is None:
            return
        title = field.title or name.replace("_", " ")
        help_text = field.description or title
        label = QLabel(title)
        label.setWordWrap(True)
        label.setToolTip(help_text)
        control.setToolTip(help_text)
        for part in (control, *control.findChildren(QWidget)):
            part.setAccessibleName(title)
            part.setAccessibleDescription(help_text)
        control.changed.connect(lambda value, name=name: self._on_changed(name, value))
        self.controls[name] = control
        self.labels[name] = label
        self._rows.addRow(label, control)

    def _on_changed(self, name: str, value: Any) -> None:
        self._params = self._params.replace(**{name: value})
        self._follow_values()
        self.changed.emit(self._params)

    def _follow_values(self) -> None:
        for name, control in self.controls.items():
            label = self.labels[name]
            font = label.font()
            font.setBold(getattr(self._params, name) != getattr(self._defaults, name))
            label.setFont(font)
            needs = extra(self._fields[name], "only_if") or {}
            shown = all(getattr(self._params, k) == v for k, v in needs.items())
            shown = shown and name not in self._hidden
            self._rows.setRowVisible(control, shown)

    def hide_fields(self, names: Collection[str]) -> None:
        """Show all fields but these; their values stay."""
        self._hidden = frozenset(names)
        self._follow_values()

    @property
    def params(self) -> Any:
        """The values that the form shows."""
        return self._params

    def set_params(self, params: Params, defaults: Params | None = None) -> None:
        """Show other values, and measure against other defaults, without emitting ``changed``."""
        self._params = params
        self._defaults = defaults or self._defaults
        for name, control in self.controls.items():
            control.set_value(getattr(params, name))
        self._follow_values()


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setItalic(True)
    label.setFont(font)
    return label
