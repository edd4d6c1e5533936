"""Runs on an image whose labels are still open: they go on, with what was corrected in them."""

import threading

import numpy as np
import pytest

from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.zoo.store import find_model
from napari_cellseg.gui.contributions import open_dock
from napari_cellseg.gui.panel_registry import PANELS
from napari_cellseg.session.run import Run

from .conftest import Tab, discs


@pytest.fixture
def two(tab):
    """The tab with results of two images; the first was corrected."""
    one = tab.viewer.add_image(discs(), name="one")
    other = tab.viewer.add_image(discs(seed=3), name="other")
    labels = {}
    for image in (one, other):
        tab.panel.view.image.choose(image)
        tab.run()
        labels[image.name] = tab.layer
        if image is one:
            tab.layer.brush_size, tab.layer.mode = 9, "paint"
            tab.layer.paint((40, 60), 999)
    assert labels["one"] is not labels["other"]
    return one, other, labels


def test_the_labels_of_an_image_go_on_after_those_of_another(tab, two):
    one, _, labels = two
    first, count = labels["one"], len(tab.viewer.layers)
    corrected = first.data.copy()
    painted, second = corrected == 999, labels["other"].data.copy()
    assert painted.any()
    tab.panel.view.image.choose(one)
    tab.move("min_area", 170)  # the settings of the second, and of what comes
    before = labels["other"].data.copy()
    tab.run()
    assert tab.layer is first
    assert len(tab.viewer.layers) == count
    np.testing.assert_array_equal(first.data == 999, painted)
    assert tab.panel.session.run.recipe.post.min_area == 170
    areas = np.bincount(first.data[first.data != 999])[1:]
    assert areas[areas > 0].min() >= 170
    np.testing.assert_array_equal(labels["other"].data, before)
    assert (before != second).any()
    binding = tab.panel.result.binding
    binding.undo()
    np.testing.assert_array_equal(first.data, corrected)
    assert tab.panel.session.recipe.post.min_area == 16, "the sliders go back as well"
    binding.undo()
    assert not (first.data == 999).any()


def test_sliders_act_on_the_labels_that_are_selected(tab, two):
    one, other, labels = two
    panel, viewer = tab.panel, tab.viewer
    tab.move("min_area", 150)
    before = {name: layer.data.copy() for name, layer in labels.items()}
    viewer.layers.selection.active = labels["one"]
    assert tab.layer is labels["one"]
    assert panel.view.image.layer is one
    assert panel.session.recipe.post.min_area == 16
    assert panel.view.live.form.controls["min_area"].value() == 16
    tab.move("min_area", 240)
    np.testing.assert_array_equal(labels["other"].data, before["other"])
    assert (labels["one"].data != before["one"]).any()
    np.testing.assert_array_equal(labels["one"].data == 999, before["one"] == 999)
    viewer.layers.selection.active = labels["other"]
    assert (tab.layer, panel.view.image.layer) == (labels["other"], other)
    assert panel.session.recipe.post.min_area == 150
    viewer.layers.remove(labels["other"])
    viewer.layers.selection.active = labels["one"]
    tab.move("min_area", 16)
    np.testing.assert_array_equal(labels["one"].data > 0, before["one"] > 0)


def test_the_last_move_counts_before_other_labels_are_taken_up(tab, two):
    _, _, labels = two
    control = tab.panel.view.live.form.controls["min_area"]
    control.set_value(150)
    control.changed.emit(150)
    assert tab.panel.live.busy
    tab.viewer.layers.selection.active = labels["one"]
    tab.qtbot.waitUntil(lambda: tab.layer is labels["one"], timeout=60_000)
    tab.settle()
    tab.viewer.layers.selection.active = labels["other"]
    assert tab.panel.session.recipe.post.min_area == 150
    areas = np.bincount(labels["other"].data[labels["other"].data > 0])
    assert areas[areas > 0].min() >= 150


def test_labels_that_were_removed_or_are_of_another_part_do_not_go_on(tab, two):
    one, other, labels = two
    tab.viewer.layers.remove(labels["one"])
    tab.panel.view.image.choose(one)
    tab.run()
    assert tab.layer not in labels.values()
    tab.panel.view.image.choose(other)
    tab.viewer.layers.selection.active = other
    tab.viewer.add_shapes([[10, 10], [10, 90], [90, 90], [90, 10]], shape_type="rectangle")
    tab.panel.session.change(scope="region")
    tab.run()
    assert tab.layer not in labels.values()
    assert tab.labels.shape != labels["other"].data.shape


@pytest.mark.parametrize("selected", ["one", "other", ""])
def test_a_tab_that_is_opened_anew_takes_up_the_labels(tab, two, qtbot, selected):
    """The selected ones, else those of the last run; sliders and runs go on."""
    labels = two[2]
    tab.move("min_area", 60)
    tab.close()
    qtbot.wait(50)  # until Qt has deleted it
    tab.viewer.layers.selection.active = labels[selected] if selected else None
    tab.panel = Tab(qtbot, tab.viewer).panel
    expected = labels[selected or "other"]
    assert tab.layer is expected
    smallest = tab.panel.view.live.form.controls["min_area"]
    assert smallest.value() == (16 if selected == "one" else 60)
    before = expected.data.copy()
    tab.move("min_area", 170)
    assert (expected.data != before).any()
    np.testing.assert_array_equal(expected.data == 999, before == 999)
    tab.panel.view.image.choose(two[0] if selected == "one" else two[1])
    count = len(tab.viewer.layers)
    tab.run()
    assert len(tab.viewer.layers) == count
    assert tab.layer is expected


def test_undo_in_labels_that_the_tab_does_not_show(tab, two):
    """It takes their settings back, and leaves those of the tab alone."""
    one, other, labels = two
    tab.panel.view.image.choose(one)
    tab.run()
    tab.move("min_area", 170)
    binding = tab.panel.result.binding
    tab.panel.view.image.choose(other)
    tab.run()
    assert tab.layer is labels["other"]
    assert binding.run.recipe.post.min_area == 170
    binding.undo()
    tab.settle()
    assert binding.run.recipe.post.min_area == 16
    assert tab.panel.session.recipe.post.min_area == 170


def test_a_dock_that_was_removed_leaves_nothing_behind(make_napari_viewer, qtbot, valleys, cold):
    """What is told to the tabs then reaches those of the new dock, and none that is gone."""
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(discs(), name="one")
    dock = open_dock(viewer)
    for name in PANELS.names():
        dock.panel(name)
    panel = old = dock.panel("segment")
    panel.run_active_layer()
    qtbot.waitUntil(lambda: not panel.network.running and not panel.live.busy, timeout=60_000)
    layer, desk = panel.result.layer, panel.desk
    viewer.window.remove_dock_widget(dock)
    qtbot.wait(50)
    desk.bind(viewer.add_labels(discs().astype(np.int32) // 100, name="more"))
    desk.model_chosen.emit(str(find_model("valleys").folder))
    viewer.layers.remove("more")
    viewer.layers.selection.active = layer

    dock = open_dock(viewer)
    panel = dock.panel("segment")
    assert panel.result.layer is layer
    assert old.result.layer is None
    for name in PANELS.names():
        dock.panel(name)
    viewer.layers.selection.active = image
    viewer.layers.selection.active = layer
    assert old.result.layer is None
    before = layer.data.copy()
    desk.settings_found.emit(desk.of(layer), PostParams(min_area=170))
    qtbot.waitUntil(lambda: not panel.live.busy, timeout=60_000)
    assert (layer.data != before).any()
    panel.view.image.choose(image)
    desk.run_requested.emit()
    qtbot.waitUntil(lambda: not panel.network.running and not panel.live.busy, timeout=60_000)
    assert list(viewer.layers) == [image, layer]
    dock.panel("segment").shut_down()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)


def test_a_slider_that_moves_while_a_run_goes_on_counts(tab, two):
    """Also where the run goes on with labels that the tab has shown, or shows."""
    one, other, labels = two
    for image in (other, one):
        tab.panel.view.image.choose(image)
        tab.panel.run()
        control = tab.panel.view.live.form.controls["min_area"]
        wanted = 240 if image is other else 170
        control.set_value(wanted)
        control.changed.emit(wanted)
        tab.settle()
        assert tab.layer is labels[image.name]
        assert tab.panel.session.run.recipe.post.min_area == wanted


def test_a_slider_does_not_push_out_a_run_that_waits_for_an_earlier_move(tab, two, monkeypatch):
    """Labels of a move are being made, a run ends and waits for them, and the slider moves on."""
    go_on, begun = threading.Event(), threading.Event()
    relabelled = Run.relabelled

    def held(self, post, decided=None):
        if not begun.is_set():
            begun.set()
            assert go_on.wait(60)
        return (yield from relabelled(self, post, decided))

    _, _, labels = two
    before = tab.panel.session.run
    control = tab.panel.view.live.form.controls["min_area"]
    monkeypatch.setattr(Run, "relabelled", held)
    try:
        control.set_value(100)
        control.changed.emit(100)
        tab.qtbot.waitUntil(begun.is_set, timeout=60_000)
        tab.panel.run()
        tab.qtbot.waitUntil(lambda: not tab.panel.network.running, timeout=60_000)
        assert tab.panel.session.run is before
        control.set_value(170)
        control.changed.emit(170)
    finally:
        go_on.set()
    tab.settle()
    assert tab.layer is labels["other"]
    assert tab.panel.session.run.recipe.post.min_area == 170
    assert tab.panel.session.run.planes is not before.planes
