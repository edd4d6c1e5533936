"""The hand: mouse and keys on the corrected layer, without a window."""

import gc
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage, QRegion
from qtpy.QtWidgets import QWidget

from napari_cellseg.gui.correct import hand as hand_module
from napari_cellseg.gui.correct.hand import Hand
from napari_cellseg.gui.correct.stroke_line import StrokeLine
from napari_cellseg.gui.correct.workbench import Workbench


class Mouse:
    """Tells a layer of mouse events as napari's canvas does; four screen pixels are one pixel."""

    def __init__(self, layer):
        self.layer = layer

    def _event(self, kind, y, x, button=1, held=()):
        lead = (0.0,) * (self.layer.ndim - 2)
        event = SimpleNamespace(
            type=kind,
            pos=np.array([4 * x, 4 * y]),
            position=(*lead, y, x),
            button=button,
            modifiers=held,
            dims_displayed=[self.layer.ndim - 2, self.layer.ndim - 1],
            is_dragging=kind == "mouse_move",
            view_direction=None,
            handled=False,
        )
        return ReadOnlyWrapper(event, exceptions=("handled",))

    def press(self, y, x, **options):
        mouse_press_callbacks(self.layer, self._event("mouse_press", y, x, **options))

    def move(self, *points):
        for y, x in points:
            mouse_move_callbacks(self.layer, self._event("mouse_move", y, x))

    def release(self, y, x, **options):
        mouse_release_callbacks(self.layer, self._event("mouse_release", y, x, **options))


class Corner:
    """A viewer with two objects beside each other, a hand, and a mouse."""

    def __init__(self, shape=(20, 30)):
        self.data = np.zeros(shape, np.int32)
        self.data[..., 4:10, 4:10] = 1
        self.data[..., 4:10, 10:16] = 2
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(np.zeros(shape, np.uint8))
        self.layer = self.viewer.add_labels(self.data.copy())
        self.bench = Workbench(self.viewer)
        self.hand = Hand(self.bench)
        self.told, self.chosen = [], []
        self.bench.told.connect(self.told.append)
        self.hand.chosen.connect(self.chosen.append)
        self.bench.take(self.layer)
        self.mouse = Mouse(self.layer)
        self.canvas = QWidget()

    @property
    def lines(self):
        return self.canvas.findChildren(StrokeLine)

    @property
    def steps(self):
        return len(self.bench.binding.document.history)

    def key(self, name):
        """Return what a key does on the layer, None if nothing of ours."""
        return self.layer.keymap.get(coerce_keybinding(name))


@pytest.fixture
def corner(qtbot, monkeypatch):
    made = Corner()
    made.canvas.resize(120, 80)
    monkeypatch.setattr(hand_module, "widget_under", lambda event: made.canvas)
    return made


def points(line):
    """Return the line's points on the canvas, (x, y)."""
    return [(point.x(), point.y()) for point in line._line]


def inked(line, x, y):
    """Tell whether the line is drawn there."""
    picture = QImage(line.size(), QImage.Format.Format_ARGB32)
    picture.fill(Qt.GlobalColor.transparent)
    line.render(picture, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    return picture.pixelColor(x, y).alpha() > 0


def test_a_drag_draws_a_line_that_is_gone_afterwards(corner):
    corner.hand.choose("merge")
    corner.mouse.press(6, 6)
    assert corner.lines == []
    corner.mouse.move((6, 8), (6, 12))
    (line,) = corner.lines
    assert points(line) == [(24, 24), (32, 24), (48, 24)]
    assert len(corner.viewer.layers) == 2
    corner.mouse.release(6, 12)
    assert corner.lines == []
    assert set(np.unique(corner.layer.data)) == {0, 1}
    assert corner.steps == 1
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("told", [(), ((6, 8),)])
def test_a_drag_ends_where_the_button_is_released(corner, told):
    """A busy window hears of the release before the last move, or of no move at all."""
    corner.hand.choose("merge")
    corner.mouse.press(6, 6)
    corner.mouse.move(*told)
    corner.mouse.release(6, 12)
    assert corner.lines == []
    assert set(np.unique(corner.layer.data)) == {0, 1}
    assert corner.steps == 1


def test_the_line_around_an_area_is_closed(corner):
    corner.hand.choose("delete")
    corner.mouse.press(2, 2)
    corner.mouse.move((2, 12), (12, 12))
    (line,) = corner.lines
    assert points(line) == [(8, 8), (48, 8), (48, 48)]
    assert inked(line, 28, 8)
    assert inked(line, 28, 28), "back to where it began"
    assert not inked(line, 8, 28)
    corner.mouse.move((12, 2))
    corner.mouse.release(12, 2)
    assert corner.lines == []
    assert set(np.unique(corner.layer.data)) == {0, 2}


def test_a_hand_that_trembles_clicks(corner):
    corner.hand.choose("delete")
    corner.mouse.press(6, 6)
    corner.mouse.move((6.5, 6.5))
    assert corner.lines == []
    corner.mouse.release(6.5, 6.5)
    assert set(np.unique(corner.layer.data)) == {0, 2}


def test_modifiers_reach_the_tool(corner, monkeypatch):
    corner.hand.choose("delete")
    seen = []
    monkeypatch.setattr(corner.hand.tool, "click", lambda position, held: seen.append(held))
    corner.mouse.press(6, 6)
    corner.mouse.release(6, 6, held=(SimpleNamespace(name="Alt"), "Shift"))
    assert seen == [frozenset({"Alt", "Shift"})]


def test_other_buttons_and_an_empty_hand_do_nothing(corner):
    corner.hand.choose("delete")
    corner.mouse.press(6, 6, button=2)
    corner.mouse.release(6, 6, button=2)
    corner.hand.choose("delete")  # once more: put down
    assert corner.hand.name == ""
    corner.mouse.press(6, 6)
    corner.mouse.release(6, 6)
    np.testing.assert_array_equal(corner.layer.data, corner.data)
    assert corner.chosen == ["delete", ""]


def test_a_tool_of_clicks_leaves_drags_to_the_view(corner):
    corner.hand.choose("erode")
    assert corner.layer.mouse_pan
    corner.mouse.press(6, 6)
    corner.mouse.move((6, 9), (6, 12))
    assert corner.lines == []
    corner.mouse.release(6, 12)
    np.testing.assert_array_equal(corner.layer.data, corner.data)
    corner.hand.choose("merge")
    assert not corner.layer.mouse_pan
    corner.hand.choose("")
    assert corner.layer.mouse_pan


@pytest.mark.parametrize("what", ["Escape", "tool", "paint", "take"])
def test_a_drag_that_is_broken_off_does_nothing(corner, what):
    corner.hand.choose("merge")
    corner.mouse.press(6, 6)
    corner.mouse.move((6, 12))
    assert len(corner.lines) == 1
    if what == "Escape":
        corner.key("Escape")(corner.layer)
    elif what == "tool":
        corner.hand.choose("split")
    elif what == "paint":
        corner.layer.mode = "paint"
    else:
        corner.bench.take(None)
    assert corner.lines == []
    assert corner.hand.name == ("split" if what == "tool" else "")
    corner.mouse.move((6, 13))
    assert corner.lines == []
    corner.mouse.release(6, 13)
    assert corner.lines == []
    np.testing.assert_array_equal(corner.layer.data, corner.data)


def test_the_layer_goes_in_mid_drag(corner):
    corner.hand.choose("merge")
    corner.mouse.press(6, 6)
    corner.mouse.move((6, 12))
    corner.viewer.layers.remove(corner.layer)
    assert list(corner.viewer.layers) == [corner.image]
    assert corner.hand.name == ""
    assert corner.bench.binding is None
    assert not corner.layer.keymap
    corner.mouse.release(6, 12)
    np.testing.assert_array_equal(corner.layer.data, corner.data)
    assert corner.hand._on_mouse not in corner.layer.mouse_drag_callbacks


def test_another_slice_in_mid_drag(qtbot):
    corner = Corner((3, 20, 30))
    corner.viewer.dims.set_point(0, 0)
    corner.hand.choose("merge")
    corner.mouse.press(6, 6)
    corner.mouse.move((6, 12))
    corner.viewer.dims.set_point(0, 2)
    assert corner.lines == []
    corner.mouse.release(6, 12)
    np.testing.assert_array_equal(corner.layer.data, corner.data)
    assert corner.hand.name == "merge"


def test_in_3d_the_tools_say_why_they_rest(qtbot):
    corner = Corner((3, 20, 30))
    corner.viewer.dims.ndisplay = 3
    corner.hand.choose("delete")
    corner.mouse.press(6, 6)
    corner.mouse.release(6, 6)
    assert "planes" in corner.told[-1]
    corner.viewer.dims.ndisplay = 2
    corner.viewer.dims.order = (1, 0, 2)  # shows Z and X
    corner.told.clear()
    corner.mouse.press(6, 6)
    corner.mouse.release(6, 6)
    assert "planes" in corner.told[-1]
    np.testing.assert_array_equal(corner.layer.data, corner.data)


def test_space_moves_the_view_while_it_is_held(corner):
    corner.hand.choose("merge")
    held = corner.key("Space")(corner.layer)
    next(held)
    assert corner.layer.mouse_pan
    corner.mouse.press(6, 6)
    corner.mouse.move((6, 12))
    assert corner.lines == []
    corner.mouse.release(6, 12)
    np.testing.assert_array_equal(corner.layer.data, corner.data)
    assert list(held) == []
    assert not corner.layer.mouse_pan
    held = corner.key("Space")(corner.layer)
    next(held)
    corner.hand.choose("")  # put down while the bar is held
    assert list(held) == []
    assert corner.layer.mouse_pan


def test_napari_tools_put_ours_down_and_keep_their_mouse(corner):
    corner.hand.choose("merge")
    corner.layer.mode = "paint"
    assert corner.hand.name == ""
    assert not corner.layer.mouse_pan  # a drag paints: it must not move the view as well
    corner.hand.choose("split")
    assert corner.layer.mode == "pan_zoom"
    corner.layer.mode = "erase"
    corner.bench.take(None)
    assert not corner.layer.mouse_pan


def test_keys_are_bound_on_this_layer_only_and_while_they_serve(corner):
    other = corner.viewer.add_labels(corner.data.copy())
    assert not Labels.class_keymap.keys() & corner.layer.keymap.keys() - {
        coerce_keybinding("Control-Z"),
        coerce_keybinding("Control-Shift-Z"),
    }
    assert not other.keymap
    assert corner.key("Escape") is None
    assert corner.key("5") is None
    for name, tool in corner.hand.tools.items():
        corner.key(tool.key)(corner.layer)
        assert corner.hand.name == name
        assert corner.layer.help == tool.help
        assert corner.key("5") is not None
        assert corner.viewer.layers.selection.active is corner.layer
    corner.key("Escape")(corner.layer)
    assert corner.hand.name == ""
    assert corner.layer.help == ""
    assert corner.key("Escape") is None
    assert corner.key("Space") is None
    corner.hand.choose("class")
    corner.bench.take(other)
    assert corner.hand.name == ""
    assert all(corner.key(tool.key) is None for tool in corner.hand.tools.values())
    assert corner.key("5") is None
    assert coerce_keybinding("Shift-M") in other.keymap


def test_number_keys_reach_the_tool(corner, monkeypatch):
    corner.hand.choose("class")
    seen = []
    monkeypatch.setattr(corner.hand.tool, "press", seen.append)
    for key in "19":
        corner.key(key)(corner.layer)
    assert seen == ["1", "9"]


def test_another_layer_has_the_focus(corner, qtbot):
    corner.hand.choose("merge")
    corner.viewer.layers.selection.active = corner.image
    qtbot.waitUntil(lambda: corner.hand.name == "")
    corner.hand.choose("merge")
    corner.viewer.layers.selection.active = corner.image  # for a moment, as when a layer is added
    corner.viewer.layers.selection.active = corner.layer
    qtbot.wait(20)
    assert corner.hand.name == "merge"
