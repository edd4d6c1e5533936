"""The dock in a real window: keys, mouse, closing, and what is loaded when it opens."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.contributions import open_dock
from napari_cellseg.gui.segment import network

from .conftest import discs


@pytest.fixture
def window(make_napari_viewer, qtbot, valleys, cold):
    """A viewer with the dock open and an image in it."""
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    viewer.add_image(discs(), name="field")
    panel = dock.panel("segment")
    yield viewer, dock, panel
    panel.shut_down()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)


def wait_for_result(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.network.running, timeout=60_000)
    qtbot.waitUntil(lambda: not panel.live.busy, timeout=60_000)


@pytest.fixture
def endless(monkeypatch):
    """Make every run go on until it is stopped; the event tells that it has begun."""
    arrived, work_ended = threading.Event(), threading.Event()

    def work(*_arguments):
        try:
            while True:
                arrived.set()
                yield Progress("Predicting", 1, 4)
                time.sleep(0.005)
        finally:
            work_ended.set()

    monkeypatch.setattr(network, "segment_image", work)
    arrived.ended = work_ended
    return arrived


def test_run_by_key_and_move_a_slider_by_mouse_and_key(window, qtbot):
    viewer, _, panel = window
    qtbot.keyClick(panel.view.run.button, Qt.Key.Key_Space)
    wait_for_result(qtbot, panel)
    assert viewer.layers["field cells"].data.max() > 5
    slider = panel.view.live.form.controls["foreground_threshold"]._slider
    before = panel.session.run.recipe.post.foreground_threshold
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    wait_for_result(qtbot, panel)
    after = panel.session.run.recipe.post.foreground_threshold
    assert after > before
    panel.ensureWidgetVisible(slider)
    qtbot.mouseClick(
        slider,
        Qt.MouseButton.LeftButton,
        pos=QPoint(int(slider.width() * 0.9), slider.height() // 2),
    )
    wait_for_result(qtbot, panel)
    assert panel.session.run.recipe.post.foreground_threshold > after


def test_brush_in_the_window_locks_what_it_paints(window, qtbot):
    viewer, _, panel = window
    panel.run()
    wait_for_result(qtbot, panel)
    layer = viewer.layers["field cells"]
    qtbot.waitUntil(lambda: layer.visible)
    layer.mode = "paint"
    layer.selected_label = 321
    layer.brush_size = 6
    canvas = viewer.window._qt_viewer.canvas
    QApplication.processEvents()
    position = canvas.native.rect().center()
    qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=position)
    painted = layer.data == 321
    assert painted.any()
    panel.view.live.form.controls["min_area"]._spin.setValue(80)
    wait_for_result(qtbot, panel)
    np.testing.assert_array_equal(layer.data == 321, painted)
    assert 321 in panel.session.run.locks.ids


def test_closing_the_dock_in_mid_run_cancels(window, qtbot, endless):
    viewer, dock, panel = window
    panel.run()
    qtbot.waitUntil(endless.is_set)
    holder = dock
    while not isinstance(holder, QDockWidget):
        holder = holder.parentWidget()
    holder.close()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=10_000)
    assert [layer.name for layer in viewer.layers] == ["field"]
    holder.show()
    assert panel.view.run.button.text() == "Run"
    assert open_dock(viewer) is dock


def test_closing_napari_in_mid_run_is_clean(make_napari_viewer, qtbot, valleys, cold, endless):
    viewer = make_napari_viewer(show=True)
    panel = open_dock(viewer).panel("segment")
    viewer.add_image(discs())
    panel.run()
    qtbot.waitUntil(endless.is_set)
    viewer.close()
    assert endless.ended.wait(10)


def test_covering_the_dock_with_another_tab_does_not_cancel(window, qtbot, endless):
    from qtpy.QtWidgets import QLabel

    viewer, _dock, panel = window
    panel.run()
    qtbot.waitUntil(endless.is_set)
    viewer.window.add_dock_widget(QLabel("other"), name="other", tabify=True)
    qtbot.wait(100)
    assert panel.network.running
    panel.shut_down()


def test_diameter_is_measured_with_a_line(window, qtbot, move_mouse):
    viewer, _, panel = window
    panel.view.model.diameter.measure.click()
    assert viewer.layers.selection.active.name == "Diameter"
    canvas = viewer.window._qt_viewer.canvas.native
    QApplication.processEvents()
    start = canvas.rect().center()
    end = start + type(start)(60, 0)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    for step in (20, 40, 60):
        move_mouse(canvas, start + type(start)(step, 0))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=end)
    qtbot.waitUntil(lambda: "Diameter" not in viewer.layers, timeout=3000)
    expected = 60 / viewer.scene.camera.zoom
    assert panel.session.recipe.preparation.diameter == pytest.approx(expected, rel=0.2)


def test_the_dock_fits_a_narrow_window(window):
    _, dock, panel = window
    assert dock.minimumWidth() <= 320
    assert panel.view.minimumSizeHint().width() <= 330


def test_opening_the_dock_imports_no_torch():
    code = """
        import sys
        import napari
        viewer = napari.Viewer(show=False)
        before = set(sys.modules)
        from napari_cellseg.gui.contributions import open_dock
        dock = open_dock(viewer)
        new = set(sys.modules) - before
        heavy = [m for m in ("torch", "triton", "torchvision", "timm", "tifffile",
                 "segmentation_models_pytorch", "skimage.draw") if m in new]
        assert "torch" not in sys.modules
        assert not heavy, heavy
        viewer.close()
        print("light")
    """
    environment = {**os.environ, "NAPARI_CONFIG": ""}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=300, env=environment, check=False,
    )  # fmt: skip
    assert "light" in done.stdout, done.stderr


def test_what_is_too_wide_for_the_dock_can_be_scrolled_to(window, qtbot):
    _, dock, _ = window
    dock.tabs.setParent(None)
    dock.tabs.resize(180, 600)
    dock.tabs.show()
    for name in ("segment", "correct", "finetune", "measure", "batch"):
        panel = dock.panel(name)
        panel.resize(180, 600)
        bar = panel.horizontalScrollBar()
        qtbot.waitUntil(lambda bar=bar: bar.isVisible() and bar.maximum() > 0)
    dock.tabs.setParent(dock)


def test_tab_goes_from_top_to_bottom_and_shows_where_it_is(window, qtbot):
    viewer, _, panel = window
    view = panel.view
    view.live.show_removed({"min_area": 2, "edge": 1})
    order, widget = [], view.image.layer_combo
    while widget not in order:
        order.append(widget)
        widget = widget.nextInFocusChain()
    rules = list(view.live.rules.values())
    wanted = [view.image.layer_combo, *view.image.axis_bar.combos, view.image.channel_combo]
    wanted += [view.run.button, view.live.preset, *rules, view.copy]
    assert [one for one in order if one in wanted] == wanted
    before = view.run.button.grab().toImage()
    viewer.window._qt_window.activateWindow()
    view.run.button.setFocus()
    qtbot.waitUntil(view.run.button.hasFocus)
    assert view.run.button.grab().toImage() != before


def test_a_number_that_is_being_typed_counts_in_a_run(window, qtbot):
    _, _, panel = window
    spin = panel.view.live.form.controls["min_area"]._spin
    spin.setFocus()
    spin.selectAll()
    qtbot.keyClicks(spin, "300")
    panel.view.run.button.click()  # which takes no focus, as its key does not
    wait_for_result(qtbot, panel)
    assert panel.session.run.recipe.post.min_area == 300
