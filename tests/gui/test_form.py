"""Controls are made from fields: range, unit, tooltip, accessible name; values come back exact."""

from typing import Literal

import pytest
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.gui.boxes.live import LiveBox
from napari_cellseg.gui.form import Form, make_control


class Example(Params):
    level: float = Field(0.5, ge=0, le=1, title="Level", description="How high.")
    count: int = Field(3, ge=-5, le=5, title="Count", json_schema_extra={"unit": "px"})
    area: int = Field(16, ge=0, le=1_000_000, title="Area")
    limit: float | None = Field(None, gt=0, le=10, title="Limit")
    on: bool = Field(True, title="On")
    kind: Literal["round", "long"] = Field("round", title="Kind")
    strength: float = Field(
        0.2, ge=0, le=1, title="Strength", json_schema_extra={"only_if": {"kind": "long"}}
    )
    several: tuple[int, ...] = (1, 2)


@pytest.fixture
def form(qtbot):
    form = Form(Example())
    qtbot.addWidget(form)
    return form


def test_every_field_with_a_control_is_shown_and_described(form):
    assert set(form.controls) == set(Example.model_fields) - {"several"}
    level = form.controls["level"]
    assert level.toolTip() == "How high."
    assert form.labels["level"].text() == "Level"
    assert level._spin.accessibleName() == level._slider.accessibleName() == "Level"
    assert level._spin.accessibleDescription() == "How high."
    assert form.controls["count"]._spin.suffix() == " px"


def test_moving_a_control_gives_new_params(form, qtbot):
    with qtbot.waitSignal(form.changed) as told:
        form.controls["level"]._slider.setValue(40)
    assert told.args[0].level == pytest.approx(0.2)
    assert form.controls["level"]._spin.value() == pytest.approx(0.2)
    form.controls["count"]._spin.setValue(-4)
    form.controls["kind"]._box.setCurrentIndex(1)
    form.controls["on"]._box.setChecked(False)
    assert form.params.replace(level=0.5) == Example(count=-4, kind="long", on=False)


def test_optional_number_is_none_while_its_box_is_off(form):
    limit = form.controls["limit"]
    assert limit.value() is None
    assert not limit._spin.isEnabled()
    limit._tick.setChecked(True)
    limit._spin.setValue(4)
    assert form.params.limit == 4
    limit._tick.setChecked(False)
    assert form.params.limit is None


def test_setting_params_is_silent_and_exact(form):
    told = []
    form.changed.connect(told.append)
    values = Example(level=0.123, count=5, area=123_456, limit=2.5, on=False, kind="long")
    form.set_params(values)
    assert told == []
    assert {name: control.value() for name, control in form.controls.items()} == {
        **{name: getattr(values, name) for name in form.controls},
        "level": pytest.approx(0.12),  # two decimals are shown
    }


def test_slider_of_a_wide_range_is_fine_at_its_low_end(form):
    area = form.controls["area"]
    ends = area._at(0), area._at(area._slider.maximum())
    assert ends == (0, pytest.approx(1_000_000))
    for value in (0, 10, 100, 1_000, 1_000_000):
        area.set_value(value)
        assert area.value() == value
        assert area._at(area._slider.value()) == pytest.approx(value, rel=0.1, abs=1)


def test_values_that_differ_from_the_defaults_are_bold(form):
    form.controls["count"]._spin.setValue(1)
    assert form.labels["count"].font().bold()
    form.controls["count"]._spin.setValue(3)
    assert not form.labels["count"].font().bold()
    form.set_params(Example(count=1), Example(count=1))
    assert not form.labels["count"].font().bold()


def test_a_field_that_means_nothing_now_is_hidden(form):
    assert form.controls["strength"].isHidden()
    form.controls["kind"]._box.setCurrentIndex(1)
    assert not form.controls["strength"].isHidden()


def test_every_post_processing_setting_has_a_control():
    for field in PostParams.model_fields.values():
        assert field.title
        assert field.description


def test_a_tuple_has_no_control(qtbot):
    assert make_control(Example.model_fields["several"]) is None


def test_fields_can_be_hidden_without_losing_their_values(form):
    form.set_params(Example(kind="long", count=2))
    form.hide_fields({"count", "strength"})
    assert form.controls["count"].isHidden()
    assert form.controls["strength"].isHidden()
    assert not form.controls["level"].isHidden()
    assert form.params.count == 2
    form.hide_fields(())
    assert not form.controls["count"].isHidden()
    assert not form.controls["strength"].isHidden()


def test_live_settings_are_those_of_what_the_model_predicts(qtbot):
    box = LiveBox()
    qtbot.addWidget(box)
    controls = box.form.controls
    assert controls["score_threshold"].isHidden()
    assert not controls["foreground_threshold"].isHidden()
    box.show_source("instances")
    assert not controls["score_threshold"].isHidden()
    assert not controls["mask_threshold"].isHidden()
    assert controls["foreground_threshold"].isHidden()
    assert controls["split"].isHidden()
    assert not controls["min_area"].isHidden()


def test_numbers_and_titles_have_room_in_a_large_font(form):
    font = form.font()
    font.setPointSizeF(3 * font.pointSizeF())
    form.setFont(font)
    metrics = form.fontMetrics()
    for control in ("level", "count", "limit"):
        spin = form.controls[control]._spin
        assert spin.maximumWidth() > metrics.horizontalAdvance("0.50 min")
    assert all(one.width() > metrics.horizontalAdvance("Strength") for one in form.labels.values())
