"""One control for one field of a Params class: range, unit and kind follow from the field."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

_SPIN_WIDTH = 72  # leaves the slider enough in a dock of 320 px
_SPIN_DIGITS = 9  # that have room in it, whatever the size of the font
_SLIDER_WIDTH = 40  # at least
_SHORT_UNIT = 3  # "px", "µm", "%" stand behind the number; longer ones only in the tooltip
_DECIMAL = 0.01
_SMALLEST = 1e-5  # of a field whose default is below _DECIMAL, such as a learning rate
_STEPS = 200  # positions of a slider over a range of floats
_WIDE = 500  # the slider of a range of integers wider than this is logarithmic


class Control(QWidget):
    """One value of a form; ``changed`` is emitted with it while the user moves it."""

    changed = Signal(object)

    def value(self) -> Any:
        """Return the value as its Params field takes it."""
        raise TypeError("a control must say its value")

    def set_value(self, value: Any) -> None:
        """Show `value` without emitting ``changed``."""
        raise TypeError("a control must show a value")


class NumberControl(Control):
    """A slider with a spin box; a field that may be None also has a tick box."""

    def __init__(self, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        kinds = get_args(field.annotation) or (field.annotation,)
        self._integer = float not in kinds
        self._fine = isinstance(field.default, float) and 0 < field.default < _DECIMAL
        step = _SMALLEST if self._fine else _DECIMAL
        self._low, self._high = _bounds(field, 1 if self._integer else step)
        self._spin = self._make_spin(field)
        ranged = math.isfinite(self._high) and not self._fine
        self._slider = self._make_slider() if ranged else None
        self._tick = QCheckBox() if type(None) in kinds else None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        if self._tick is not None:
            self._tick.toggled.connect(self._on_ticked)
            row.addWidget(self._tick)
        if self._slider is not None:
            row.addWidget(self._slider, 1)
        row.addWidget(self._spin, 0 if self._slider is not None else 1)
        self._fit_font()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the number room when the font changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_font()

    def _fit_font(self) -> None:
        self._spin.setFixedWidth(wide_enough(self, _SPIN_DIGITS, _SPIN_WIDTH))

    def _make_spin(self, field: FieldInfo) -> QSpinBox | QDoubleSpinBox:
        unit = str(extra(field, "unit") or "")
        spin: QSpinBox | QDoubleSpinBox
        if self._integer:
            spin = QSpinBox()
            spin.setRange(int(max(self._low, -(2**31))), int(min(self._high, 2**31 - 1)))
        else:
            spin = QDoubleSpinBox()
            spin.setDecimals(5 if self._fine else 2)  # as _SMALLEST and _DECIMAL
            spin.setRange(max(self._low, -1e9), min(self._high, 1e9))
            spin.setSingleStep(_DECIMAL if self._high - self._low <= 2 else 0.5)
            if self._fine:
                spin.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        spin.setSuffix(f" {unit}" if 0 < len(unit) <= _SHORT_UNIT else "")
        spin.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        spin.setAlignment(Qt.AlignmentFlag.AlignRight)
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(self._on_typed)
        return spin

    def _make_slider(self) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        span = self._high - self._low
        self._last = int(span) if self._integer and span <= _WIDE else _STEPS
        slider.setRange(0, self._last)
        slider.setMinimumWidth(_SLIDER_WIDTH)
        slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        slider.valueChanged.connect(self._on_slid)
        return slider

    @property
    def _logarithmic(self) -> bool:
        return self._integer and self._high - self._low > _WIDE

    def _at(self, position: int) -> float:
        """Return the value at a slider position."""
        part = position / self._last
        span = self._high - self._low
        return self._low + ((span + 1) ** part - 1 if self._logarithmic else part * span)

    def _position(self, value: float) -> int:
        """Return the slider position nearest to a value."""
        span = self._high - self._low
        above = min(max(value - self._low, 0.0), span)
        part = math.log1p(above) / math.log1p(span) if self._logarithmic else above / span
        return round(part * self._last)

    def _on_slid(self, position: int) -> None:
        value = self._at(position)
        self._spin.setValue(round(value) if self._integer else round(value, 3))

    def _on_typed(self, value: float) -> None:
        self._move_slider(value)
        self.changed.emit(self.value())

    def _on_ticked(self, on: bool) -> None:
        self._enable(on)
        self.changed.emit(self.value())

    def _enable(self, on: bool) -> None:
        self._spin.setEnabled(on)
        if self._slider is not None:
            self._slider.setEnabled(on)

    def _move_slider(self, value: float) -> None:
        if self._slider is not None:
            blocked = self._slider.blockSignals(True)
            self._slider.setValue(self._position(value))
            self._slider.blockSignals(blocked)

    def value(self) -> float | int | None:
        """Return the number, None where the tick box is off."""
        if self._tick is not None and not self._tick.isChecked():
            return None
        return self._spin.value() if self._integer else round(self._spin.value(), 5)

    def set_value(self, value: float | int | None) -> None:
        """Show a number; None unticks the box and keeps the number for later."""
        if self._tick is not None:
            blocked = self._tick.blockSignals(True)
            self._tick.setChecked(value is not None)
            self._tick.blockSignals(blocked)
            self._enable(value is not None)
        if value is not None:
            blocked = self._spin.blockSignals(True)
            self._spin.setValue(value)
            self._spin.blockSignals(blocked)
            self._move_slider(value)


class BoolControl(Control):
    """A tick box."""

    def __init__(self, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QCheckBox()
        self._box.toggled.connect(lambda on: self.changed.emit(on))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        row.addStretch(1)

    def value(self) -> bool:
        """Return whether the box is ticked."""
        return bool(self._box.isChecked())

    def set_value(self, value: bool) -> None:
        """Tick the box or not."""
        blocked = self._box.blockSignals(True)
        self._box.setChecked(value)
        self._box.blockSignals(blocked)


class ChoiceControl(Control):
    """A combo box over the values of a Literal."""

    def __init__(self, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QComboBox()
        self._box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for choice in get_args(field.annotation):
            self._box.addItem(str(choice).replace("_", " "), choice)
        self._box.currentIndexChanged.connect(lambda _: self.changed.emit(self.value()))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)

    def value(self) -> Any:
        """Return the chosen value."""
        return self._box.currentData()

    def set_value(self, value: Any) -> None:
        """Choose `value`."""
        blocked = self._box.blockSignals(True)
        self._box.setCurrentIndex(self._box.findData(value))
        self._box.blockSignals(blocked)


def make_control(field: FieldInfo) -> Control | None:
    """Return a control for a field, None for a kind of value that has none (such as a tuple)."""
    if get_origin(field.annotation) is Literal:
        return ChoiceControl(field)
    kinds = set(get_args(field.annotation) or (field.annotation,)) - {type(None)}
    if kinds == {bool}:
        return BoolControl(field)
    if kinds and kinds <= {int, float}:
        return NumberControl(field)
    return None


def _bounds(field: FieldInfo, step: float) -> tuple[float, float]:
    """Return the least and the largest value that a field allows, infinite where it has no bound.

    A bound that is itself not allowed is moved inward by one `step` of the spin box.
    """
    low, high = -math.inf, math.inf
    for rule in field.metadata:
        low = max(low, getattr(rule, "ge", getattr(rule, "gt", -math.inf - step) + step))
        high = min(high, getattr(rule, "le", getattr(rule, "lt", math.inf + step) - step))
    return low, high


def extra(field: FieldInfo, name: str) -> Any:
    """Return what the field says beyond its type under `name`, None if nothing."""
    found = field.json_schema_extra
    return found.get(name) if isinstance(found, dict) else None


def wide_enough(widget: QWidget, digits: int, least: int) -> int:
    """Return the width in px that so many digits take in the font of `widget`, or `least`."""
    return max(least, digits * widget.fontMetrics().horizontalAdvance("0"))
