"""The tab Correct in a real window: mouse at canvas positions, keys, tabs, layers and slices."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_cellseg.gui.contributions import open_dock
from napari_cellseg.gui.correct.hand import Hand
from napari_cellseg.gui.correct.stroke_line import StrokeLine

SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
NONE = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


def field(shape=(60, 80)):
    labels = np.zeros(shape, np.int32)
    labels[..., 10:30, 10:30] = 1
    labels[..., 10:30, 30:50] = 2
    labels[..., 40:50, 10:20] = 3
    return labels


class Window:
    """The tab in a window, driven by mouse and keys."""

    def __init__(self, viewer, shape, move):
        self.move = move
        self.viewer = viewer
        self.dock = open_dock(viewer)
        self.image = viewer.add_image(np.zeros(shape, np.uint8), name="field")
        self.layer = viewer.add_labels(field(shape), name="cells", scale=(0.5,) * len(shape))
        self.panel = self.dock.panel("correct")
        QApplication.processEvents()
        viewer.scene.camera.center = (0, shape[-2] / 4, shape[-1] / 4)
        viewer.scene.camera.zoom = 7  # all of the labels
        self.canvas = viewer.window._qt_viewer.canvas.native

    @property
    def hand(self) -> Hand:
        return self.panel.hand

    @property
    def history(self):
        return self.panel.bench.binding.document.history

    @property
    def ids(self):
        return set(np.unique(self.layer.data)) - {0}

    @property
    def lines(self):
        return self.canvas.findChildren(StrokeLine)

    def place(self, y, x):
        """Return where a pixel of the labels is on the canvas."""
        camera = self.viewer.scene.camera
        world = np.array(self.layer.data_to_world((*(0,) * (self.layer.ndim - 2), y, x))[-2:])
        down, right = (world - np.array(camera.center[-2:])) * camera.zoom
        size = self.canvas.size()
        return QPoint(round(size.width() / 2 + right), round(size.height() / 2 + down))

    def click(self, y, x):
        self.move(self.canvas, self.place(y, x), Qt.MouseButton.NoButton)
        QTest.mouseClick(self.canvas, LEFT, NONE, self.place(y, x))
        QApplication.processEvents()

    def drag(self, *points, release=True):
        places = [self.place(*point) for point in points]
        QTest.mousePress(self.canvas, LEFT, NONE, places[0])
        for place in places[1:]:
            self.move(self.canvas, place)
        if release:
            self.release(points[-1])

    def release(self, point):
        QTest.mouseRelease(self.canvas, LEFT, NONE, self.place(*point))
        QApplication.processEvents()

    def key(self, key, modifier=NONE):
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier)
        QApplication.processEvents()


@pytest.fixture
def window(make_napari_viewer, qtbot, valleys, cold, move_mouse):
    made = []

    def make(shape=(60, 80)):
        made.append(Window(make_napari_viewer(show=True), shape, move_mouse))
        return made[0]

    yield make
    panel = made[0].panel
    panel.shut_down()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)


def test_tools_by_mouse_and_keys(window):
    w = window()
    assert w.panel.bench.layer is w.layer
    other = w.viewer.add_labels(np.zeros((60, 80), np.int32), name="others", visible=False)
    assert w.panel.bench.layer is other
    other.name = "renamed"
    assert w.panel.view.labels.combo.currentText() == "renamed"
    w.viewer.layers.selection.active = w.layer
    assert w.panel.bench.layer is w.layer
    assert "3 objects" in w.panel.view.labels.status.text()
    start = w.layer.data.copy()

    w.key(Qt.Key.Key_D, SHIFT)
    assert w.panel.view.tools.buttons["delete"].isChecked()
    w.click(45, 15)
    assert w.ids == {1, 2}
    assert "2 objects" in w.panel.view.labels.status.text()
    assert w.panel.view.labels.undo.text() == "Undo: Delete"
    w.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(w.layer.data, start)
    w.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert w.ids == {1, 2}

    w.key(Qt.Key.Key_M, SHIFT)
    w.drag((20, 15), (20, 25), (20, 40), release=False)
    assert len(w.lines) == 1
    w.release((20, 40))
    assert w.lines == []
    assert w.ids == {1}
    w.key(Qt.Key.Key_S, SHIFT)
    w.drag((5, 24), (20, 24), (35, 24))
    assert w.lines == []
    assert len(w.ids) == 2
    assert w.layer.data[20, 40] == 1
    assert w.layer.data[20, 12] == max(w.ids)

    w.key(Qt.Key.Key_A, SHIFT)
    w.drag((40, 40), (40, 55), (52, 55), (52, 40))
    assert w.layer.data[46, 48] == max(w.ids)
    assert len(w.ids) == 3
    assert w.viewer.layers.selection.active is w.layer

    w.panel.view.labels.undo.click()
    assert len(w.ids) == 2
    assert w.panel.view.labels.redo.text() == "Redo: Draw"
    w.key(Qt.Key.Key_Escape)
    assert w.hand.name == ""
    assert not any(button.isChecked() for button in w.panel.view.tools.buttons.values())
    before = w.layer.data.copy()
    w.click(20, 40)
    np.testing.assert_array_equal(w.layer.data, before)


def test_one_key_each_and_the_space_bar(window, qtbot):
    w = window()
    for name, tool in w.hand.tools.items():
        w.key(getattr(Qt.Key, f"Key_{tool.key[-1]}"), SHIFT)
        assert w.hand.name == name
        assert w.panel.view.tools.message.text()
        shown = [f for f, c in w.panel.view.tools.form.controls.items() if not c.isHidden()]
        assert tuple(shown) == tool.options
    w.hand.choose("merge")
    qtbot.wait(200)  # the canvas finds out by drawing what is under the mouse
    start, centre = w.layer.data.copy(), w.viewer.scene.camera.center
    w.canvas.setFocus()
    QTest.keyPress(w.canvas, Qt.Key.Key_Space)
    assert w.viewer.scene.camera.mouse_pan
    w.drag((20, 15), (20, 30), (30, 40))
    qtbot.waitUntil(lambda: not np.allclose(w.viewer.scene.camera.center, centre))
    QTest.keyRelease(w.canvas, Qt.Key.Key_Space)
    assert w.lines == []
    np.testing.assert_array_equal(w.layer.data, start)
    assert not w.viewer.scene.camera.mouse_pan
    w.drag((20, 15), (20, 25), (20, 40))
    assert w.ids == {1, 3}


def test_the_tool_is_put_down_when_something_else_is_turned_to(window, qtbot):
    w = window((2, 60, 80))
    w.viewer.dims.set_point(0, 0)
    w.hand.choose("delete")
    w.dock.panel("segment")
    assert w.hand.name == ""
    w.dock.panel("correct")
    w.hand.choose("delete")
    w.viewer.layers.selection.active = w.image
    qtbot.waitUntil(lambda: w.hand.name == "")

    w.hand.choose("delete")
    w.drag((5, 5), (5, 55), (35, 55), release=False)
    assert len(w.lines) == 1
    w.viewer.dims.set_point(0, 0.5)
    assert w.lines == []
    w.release((35, 55))
    np.testing.assert_array_equal(w.layer.data, field((2, 60, 80)))
    w.click(20, 20)
    np.testing.assert_array_equal(w.layer.data[0], field())
    assert set(np.unique(w.layer.data[1])) == {0, 2, 3}
    qtbot.waitUntil(lambda: "2 objects on this plane" in w.panel.view.labels.status.text())
    w.viewer.dims.set_point(0, 0)
    qtbot.waitUntil(lambda: "3 objects on this plane" in w.panel.view.labels.status.text())

    w.viewer.layers.remove(w.layer)
    assert w.hand.name == ""
    QApplication.processEvents()
    assert list(w.viewer.layers) == [w.image]
    assert w.panel.bench.binding is None
    assert not w.panel.view.tools.isEnabled()


def test_the_tab_takes_up_the_labels_that_were_selected_elsewhere(window):
    w = window()
    w.dock.panel("segment")
    other = w.viewer.add_labels(field(), name="others")
    assert w.panel.bench.layer is w.layer
    w.dock.panel("correct")
    assert w.panel.bench.layer is other
    assert w.panel.view.labels.combo.currentText() == "others"
    w.hand.choose("delete")
    w.viewer.layers.selection.active = w.image
    w.dock.panel("segment")
    w.dock.panel("correct")
    assert w.panel.bench.layer is other


def test_what_was_said_of_other_labels_is_over(window):
    w = window()
    message = w.panel.view.tools.message
    w.viewer.add_labels(np.full((60, 80), 2**40), name="odd", visible=False)
    assert w.panel.bench.binding is None
    assert "1099511627776" in message.text()
    w.viewer.layers.selection.active = w.layer
    assert w.panel.bench.layer is w.layer
    assert message.text() == ""


def test_one_object_is_not_many(window):
    w = window()
    w.layer.data = (field() == 3).astype(np.int32)
    assert w.panel.view.labels.status.text().startswith("1 object; ")


def test_long_names_of_labels_can_be_told_apart(window):
    w = window()
    box = w.panel.view.labels
    name = "a field of view with a name that is longer than the tab is wide " * 2
    w.layer.name = f"{name}cells"
    first = box.combo.shown_text()
    w.viewer.add_labels(field(), name=f"{name}cells [1]")
    assert box.combo.shown_text() != first
    assert all("…" in text for text in (first, box.combo.shown_text()))
    measured = w.dock.panel("measure").view.measure.combo
    assert measured.shown_text().endswith("cells [1]")
    w.dock.panel("correct")
