"""The tab Segment in a viewer without a window: choices, runs, live changes, mishaps."""

import dataclasses
import json
import shutil
import threading
import time

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from napari_cellseg.core.errors import DeviceError
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.reading import image_from_array
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.gui.segment import network

from .conftest import discs


def reference(data, recipe, **options):
    from napari_cellseg.core.workflows.segment import segment

    return finish(segment(image_from_array(data, **options), recipe, device="cpu"))


@pytest.fixture
def slow(monkeypatch):
    """Make every run wait at its second step until it is let go."""
    real, gate, arrived = network.segment_image, threading.Event(), threading.Event()

    def work(*arguments):
        inner = real(*arguments)
        yield next(inner)
        arrived.set()
        while not gate.is_set():
            yield Progress("Predicting", 1, 4)
            time.sleep(0.005)
        return (yield from inner)

    monkeypatch.setattr(network, "segment_image", work)
    work.gate, work.arrived = gate, arrived
    return work


def test_without_an_image_the_tab_offers_samples(tab):
    view = tab.panel.view
    assert not view.empty.isHidden()
    assert view.image.isHidden()
    assert not view.run.button.isEnabled()
    tab.viewer.add_image(discs())
    assert view.empty.isHidden()
    assert view.run.button.isEnabled()
    tab.viewer.layers.clear()
    assert not view.empty.isHidden()
    assert not view.run.button.isEnabled()


def test_a_run_gives_the_labels_of_the_workflow_in_the_place_of_the_image(tab):
    image = tab.viewer.add_image(
        discs(), name="field", scale=(0.5, 0.5), translate=(3, 4), units=("um", "um")
    )
    tab.run()
    expected = reference(image.data, tab.panel.session.recipe)
    assert expected.labels.n_objects > 10
    np.testing.assert_array_equal(tab.labels, expected.labels.data)
    assert tab.labels.dtype == np.int32
    np.testing.assert_array_equal(tab.layer.scale, image.scale)
    np.testing.assert_array_equal(tab.layer.translate, image.translate)
    assert tab.layer.units == image.units
    record = tab.layer.metadata["napari-cellseg"]
    json.dumps(record)
    assert record["objects"] == expected.labels.n_objects
    assert Recipe.parse(record["recipe"]) == expected.recipe
    assert "objects" in tab.panel.view.run.status.text()
    assert tab.panel.view.run.button.text() == "Run"


def test_an_image_without_objects_gives_empty_labels_and_a_hint(tab):
    tab.viewer.add_image(np.full((40, 50), 7, np.uint16))
    tab.run()
    assert tab.labels.shape == (40, 50)
    assert not tab.labels.any()
    assert "No objects were found" in tab.panel.view.run.message.text()
    tab.viewer.layers.clear()
    assert not tab.panel.view.run.message.text()


def test_sliders_give_the_labels_of_their_settings_and_never_run_the_network(tab, monkeypatch):
    image = tab.viewer.add_image(discs())
    tab.run()
    layer = tab.layer
    from napari_cellseg.core.workflows import segment

    def never(*_args, **_kwargs):
        raise AssertionError("the network ran")

    recipe = tab.panel.session.run.recipe
    with monkeypatch.context() as patch:
        patch.setattr(segment, "predict", never)
        patch.setattr(network, "segment_image", never)
        tab.move("min_area", 60)
        tab.move("foreground_threshold", 0.7)
    changed = recipe.with_setting("post.min_area", 60).with_setting(
        "post.foreground_threshold", 0.7
    )
    assert tab.panel.session.run.recipe == changed
    assert tab.layer is layer
    np.testing.assert_array_equal(tab.labels, reference(image.data, changed).labels.data)
    assert Recipe.parse(layer.metadata["napari-cellseg"]["recipe"]) == changed
    assert tab.panel.view.live.rules["min_area"].text().endswith("removed")


def test_a_burst_of_moves_ends_at_the_last_one(tab):
    image = tab.viewer.add_image(discs())
    tab.run()
    form = tab.panel.view.live.form
    for value in range(20, 80, 3):
        form.controls["min_area"]._spin.setValue(value)
    tab.settle()
    recipe = tab.panel.session.recipe
    assert recipe.post.min_area == 77
    np.testing.assert_array_equal(tab.labels, reference(image.data, recipe).labels.data)


def test_painted_objects_are_identical_after_sliders_and_reruns(tab):
    tab.viewer.add_image(discs())
    tab.run()
    before = tab.labels.copy()
    tab.layer.selected_label = 999
    tab.layer.brush_size = 9
    tab.layer.paint((40, 60), 999)
    victim = int(np.unique(before)[-1])
    tab.layer.fill(tuple(np.argwhere(before == victim)[0]), 0)
    painted = tab.labels == 999
    erased = before == victim
    assert painted.any()
    for name, value in (("min_area", 90), ("foreground_threshold", 0.8), ("min_area", 5)):
        tab.move(name, value)
        np.testing.assert_array_equal(tab.labels == 999, painted)
        assert not tab.labels[erased].any()
    tab.run()
    np.testing.assert_array_equal(tab.labels == 999, painted)
    assert not tab.labels[erased].any()
    assert 999 in tab.layer.metadata["napari-cellseg"]["edited"]


def test_paint_while_an_update_is_under_way_is_not_lost(tab, monkeypatch):
    from napari_cellseg.session.run import Run

    tab.viewer.add_image(discs())
    tab.run()
    gate, real = threading.Event(), Run.relabelled

    def waiting(self, *arguments):
        gate.wait(10)
        return (yield from real(self, *arguments))

    monkeypatch.setattr(Run, "relabelled", waiting)
    tab.panel.view.live.form.controls["min_area"]._spin.setValue(70)
    tab.layer.paint((40, 60), 555)
    painted = tab.labels == 555
    gate.set()
    tab.settle()
    np.testing.assert_array_equal(tab.labels == 555, painted)
    assert tab.panel.session.run.recipe.post.min_area == 70


def test_a_removed_object_is_highlighted_and_brought_back_by_a_click(tab):
    tab.viewer.add_image(discs(), scale=(2, 2))
    tab.run()
    tab.move("min_area", 60)
    live, run = tab.panel.view.live, tab.panel.session.run
    count = run.removed_counts()["min_area"]
    live.rules["min_area"].click()
    shown = tab.viewer.layers["Removed: Smallest area"]
    assert shown.data.max() == count
    y, x = (int(v[0]) for v in run.still_removed("min_area")[()].coordinates(0))
    assert not tab.panel.removed.restore_at(tab.layer.data_to_world((0, 0)))
    assert tab.panel.removed.restore_at(tab.layer.data_to_world((y, x)))
    tab.settle()
    label = tab.labels[y, x]
    assert label > 0
    restored = tab.labels == label
    assert live.rules["min_area"].text() == f"Smallest area: {count - 1} removed"
    assert shown.data.max() == count - 1
    tab.move("min_area", 500)
    np.testing.assert_array_equal(tab.labels == label, restored)
    live.rules["min_area"].click()
    assert shown not in tab.viewer.layers


def test_removed_objects_on_other_planes_are_gone_to(tab):
    """Of six planes only the third and the last hold a small object."""
    stack = np.stack([discs((60, 60), seed=1)] * 6)
    stack[stack > 100] = 0
    stack[:, 10:40, 10:40] = 200
    stack[[2, 5], 48:54, 48:54] = 200
    tab.viewer.add_image(stack, axis_labels=("t", "y", "x"), scale=(4, 1, 1), translate=(8, 0, 0))
    tab.viewer.dims.set_point(0, 8 + 4 * 1)
    tab.run()
    tab.move("min_area", 100)
    assert set(tab.panel.session.run.still_removed("min_area")) == {(2,), (5,)}
    button = tab.panel.view.live.rules["min_area"]
    button.click()
    assert tab.viewer.dims.point[0] == 8 + 4 * 2
    button.click()
    tab.viewer.dims.set_point(0, 8 + 4 * 5)
    button.click()
    assert tab.viewer.dims.point[0] == 8 + 4 * 5, "it shows some already"


def test_cancel_leaves_nothing(tab, slow):
    tab.viewer.add_image(discs())
    tab.panel.run()
    view = tab.panel.view.run
    tab.qtbot.waitUntil(slow.arrived.is_set)
    tab.qtbot.waitUntil(lambda: "of 4" in view.status.text())
    assert view.button.text() == "Cancel"
    view.button.click()
    tab.settle()
    assert len(tab.viewer.layers) == 1
    assert "Cancelled" in view.message.text()
    assert view.button.text() == "Run"
    slow.gate.set()
    tab.run()
    assert tab.layer is not None


def test_image_removed_in_mid_run_ends_the_run(tab, slow):
    image = tab.viewer.add_image(discs())
    tab.panel.run()
    tab.qtbot.waitUntil(slow.arrived.is_set)
    tab.viewer.layers.remove(image)
    slow.gate.set()
    tab.settle()
    assert len(tab.viewer.layers) == 0
    assert "removed" in tab.panel.view.run.message.text()
    assert tab.panel.session.run is None


def test_image_renamed_in_mid_run_gives_its_result(tab, slow):
    image = tab.viewer.add_image(discs(), name="old")
    tab.panel.run()
    tab.qtbot.waitUntil(slow.arrived.is_set)
    image.name = "new"
    slow.gate.set()
    tab.settle()
    assert tab.layer.name == "new cells"
    assert tab.panel.view.image.layer_combo.currentText() == "new"


def test_closing_the_tab_in_mid_run_delivers_nothing(tab, slow):
    tab.viewer.add_image(discs())
    tab.panel.run()
    tab.qtbot.waitUntil(slow.arrived.is_set)
    tab.panel.shut_down()
    slow.gate.set()
    tab.qtbot.waitUntil(lambda: not tab.panel.runner.busy)
    tab.qtbot.wait(50)
    assert len(tab.viewer.layers) == 1


def test_result_removed_while_a_slider_moves(tab):
    tab.viewer.add_image(discs())
    tab.run()
    layer = tab.layer
    tab.panel.view.live.form.controls["min_area"]._spin.setValue(70)
    tab.viewer.layers.remove(layer)
    tab.settle()
    assert len(tab.viewer.layers) == 1
    assert tab.panel.session.run is None
    tab.move("min_area", 30)
    tab.run()
    assert len(tab.viewer.layers) == 2


def test_rerun_keeps_what_something_else_put_into_its_layer(tab):
    tab.viewer.add_image(discs(), name="field")
    tab.run()
    first, found = tab.layer, tab.labels.copy()
    tab.run()
    assert tab.layer is first
    assert len(tab.viewer.layers) == 2
    first.data = np.zeros_like(first.data)
    tab.run()
    assert tab.layer is first
    assert len(tab.viewer.layers) == 2
    assert not tab.labels.any(), "what was erased stays background"
    tab.panel.result.binding.undo()
    tab.panel.result.binding.undo()
    tab.settle()
    np.testing.assert_array_equal(tab.labels, found)
    tab.run()
    np.testing.assert_array_equal(tab.labels > 0, found > 0)


def test_a_rerun_leaves_a_layer_of_another_shape_to_the_user(tab):
    tab.viewer.add_image(discs(), name="field")
    tab.run()
    first = tab.layer
    first.data = np.zeros((20, 30), np.int32)
    tab.run()
    assert tab.layer is not first
    assert len(tab.viewer.layers) == 3
    assert first.data.shape == (20, 30)


def test_undo_takes_back_paint_sliders_and_runs_in_their_order(tab):
    tab.viewer.add_image(discs())
    tab.run()
    tab.layer.paint((40, 60), 999)
    seen = [tab.labels.copy()]
    for value in (60, 70):
        tab.move("min_area", value)
    seen.append(tab.labels.copy())
    tab.layer.mode = "fill"
    tab.layer.fill((40, 60), 1234)
    assert (tab.labels == 1234).any()
    seen.append(tab.labels.copy())
    tab.move("foreground_threshold", 0.8)
    seen.append(tab.labels.copy())
    binding, live = tab.panel.result.binding, tab.panel.view.live
    for labels in seen[-2::-1]:
        binding.undo()
        np.testing.assert_array_equal(tab.labels, labels)
    start = tab.panel.session.start.post
    assert live.form.params == tab.panel.session.recipe.post == start, "sliders go back as well"
    for labels in seen[1:]:
        binding.redo()
        np.testing.assert_array_equal(tab.labels, labels)
    assert live.form.controls["min_area"].value() == 70
    tab.settle()
    np.testing.assert_array_equal(tab.labels, seen[-1])


def test_an_error_is_told_in_one_sentence_and_the_next_run_works(tab, monkeypatch):
    tab.viewer.add_image(discs())
    real = network.segment_image

    def broken(*_arguments):
        yield Progress("Starting")
        raise DeviceError("The GPU is gone: choose 'cpu'.")

    monkeypatch.setattr(network, "segment_image", broken)
    tab.run()
    assert tab.panel.view.run.message.text() == "The GPU is gone: choose 'cpu'."
    assert len(tab.viewer.layers) == 1
    monkeypatch.setattr(network, "segment_image", real)
    tab.run()
    assert len(tab.viewer.layers) == 2


def test_ambiguous_axes_are_asked_for(tab):
    stack = np.stack([discs(seed=k) for k in range(3)])
    tab.viewer.add_image(stack)
    image, run = tab.panel.view.image, tab.panel.view.run
    assert not image.confirmed
    assert not image.confirm.isHidden()
    assert not run.button.isEnabled()
    tab.panel.run()
    assert tab.panel.session.run is None
    image.axis_bar.combos[0].setCurrentText("Z")
    assert image.axes == "ZYX"
    assert image.confirmed
    assert run.button.isEnabled()
    tab.run()
    expected = reference(stack, tab.panel.session.recipe, axes="ZYX").labels.data
    np.testing.assert_array_equal(tab.labels, expected)
    assert tab.labels.shape == stack.shape


def test_choosing_a_letter_twice_swaps_the_axes(tab):
    tab.viewer.add_image(np.zeros((3, 40, 50), np.uint8), axis_labels=("c", "y", "x"))
    bar = tab.panel.view.image.axis_bar
    assert bar.axes == "CYX"
    bar.combos[0].setCurrentText("X")
    assert bar.axes == "XYC"
    assert [combo.currentText() for combo in bar.combos] == ["X", "Y", "C"]


def test_channel_is_chosen_by_name(tab):
    data = np.zeros((2, 160, 200), np.uint8)
    data[1] = discs()
    image = tab.viewer.add_image(
        data, axis_labels=("c", "y", "x"), metadata={"channel_names": ["actin", "DAPI"]}
    )
    combo = tab.panel.view.image.channel_combo
    assert combo.currentText() == "DAPI"
    tab.run()
    assert tab.labels.shape == image.data.shape[1:]
    np.testing.assert_array_equal(
        tab.labels,
        reference(
            data[1], tab.panel.session.recipe.with_setting("preparation.channels", None)
        ).labels.data,
    )
    assert tab.panel.session.recipe.preparation.channels == (1,)


def test_wrong_channels_are_refused_in_words(tab):
    tab.viewer.add_image(np.zeros((2, 40, 50), np.uint8), axis_labels=("c", "y", "x"))
    combo = tab.panel.view.image.channel_combo
    combo.setCurrentIndex(combo.findText("All channels together"))
    assert not tab.panel.view.run.button.isEnabled()
    assert "2 channel" in tab.panel.view.run.button.toolTip()


def test_colour_image_is_segmented(tab):
    data = np.repeat(discs()[..., None], 3, axis=2)
    tab.viewer.add_image(data, rgb=True)
    tab.run()
    assert tab.labels.shape == data.shape[:2]
    np.testing.assert_array_equal(tab.labels, reference(data, tab.panel.session.recipe).labels.data)


def test_this_slice_and_a_drawn_region(tab):
    stack = np.stack([discs(seed=k) for k in range(6)])
    image = tab.viewer.add_image(stack, axis_labels=("z", "y", "x"), scale=(3, 1, 1))
    scope = tab.panel.view.run.scope
    tab.viewer.dims.set_point(0, 6)
    scope.setCurrentIndex(scope.findData("slice"))
    tab.run()
    recipe = tab.panel.session.recipe
    np.testing.assert_array_equal(tab.labels[0], reference(stack[2], recipe).labels.data)
    np.testing.assert_allclose(tab.layer.data_to_world((0, 0, 0)), image.data_to_world((2, 0, 0)))
    scope.setCurrentIndex(scope.findData("region"))
    tab.panel.run()
    assert "No region" in tab.panel.view.run.message.text()
    corners = [[6, 20, 30], [6, 20, 120], [6, 110, 120], [6, 110, 30]]
    tab.viewer.add_shapes([corners], shape_type="rectangle")
    tab.run()
    assert tab.labels.shape == (1, 91, 91)
    np.testing.assert_allclose(tab.layer.data_to_world((0, 0, 0)), image.data_to_world((2, 20, 30)))


def test_an_image_as_a_lazy_array_is_segmented(tab):
    da = pytest.importorskip("dask.array")
    data = discs()
    tab.viewer.add_image(da.from_array(data, chunks=64))
    tab.run()
    np.testing.assert_array_equal(tab.labels, reference(data, tab.panel.session.recipe).labels.data)


def test_large_images_show_the_visible_part_first(tab, monkeypatch):
    from napari_cellseg.gui.segment import live

    image = tab.viewer.add_image(discs((300, 300)))
    tab.run()
    monkeypatch.setattr(live, "WHOLE_AT_ONCE", 1000)
    tab.layer.corner_pixels = np.array([[50, 60], [149, 179]])
    tab.panel.view.live.form.controls["min_area"]._spin.setValue(60)
    name = f"{tab.layer.name} (preview)"
    tab.qtbot.waitUntil(lambda: name in tab.viewer.layers)
    assert tab.viewer.layers[name].data.shape == (100, 120)
    assert not tab.layer.visible
    tab.settle()
    assert name not in tab.viewer.layers
    assert tab.layer.visible
    np.testing.assert_array_equal(
        tab.labels, reference(image.data, tab.panel.session.recipe).labels.data
    )


def test_copied_command_gives_the_same_labels(tab, tmp_path):
    import shlex

    import tifffile

    from napari_cellseg import cli
    from napari_cellseg.core.reading import read_labels

    path = tmp_path / "a field.tif"
    tifffile.imwrite(path, discs())
    tab.viewer.add_image(tifffile.imread(path), name="field")
    tab.viewer.layers[0]._source = tab.viewer.layers[0].source.model_copy(
        update={"path": str(path)}
    )
    tab.run()
    tab.move("min_area", 55)
    tab.panel.view.copy.click()
    line = QGuiApplication.clipboard().text().splitlines()[0]
    words = shlex.split(line)
    assert words[0] == "napari-cellseg"
    words[words.index("-o") + 1] = str(tmp_path / "out")
    assert cli.main(words[1:]) == 0
    np.testing.assert_array_equal(
        read_labels(tmp_path / "out" / "a field_labels.tif").data, tab.labels
    )


def test_copied_command_says_the_axes_that_the_file_leaves_open(tab):
    stack = np.stack([discs((40, 60), seed=k) for k in range(3)])
    tab.viewer.add_image(stack)
    tab.panel.view.image.axis_bar.combos[0].setCurrentText("Z")
    tab.run()
    tab.panel.view.copy.click()
    assert "--axes ZYX" in QGuiApplication.clipboard().text().splitlines()[0]
    tab.viewer.add_image(discs((40, 60)))
    tab.viewer.layers.selection.active = tab.viewer.layers[-1]
    tab.run()
    tab.panel.view.copy.click()
    assert "--axes" not in QGuiApplication.clipboard().text()


@pytest.mark.parametrize("name", ["nuclei", "another"])
def test_panel_and_run_start_from_the_settings_of_the_card(qtbot, tab, monkeypatch, name):
    entry = tab.panel.view.model.entry
    post = {"contour_threshold": 0.2, "contour_gap": 2, "min_area": 45}
    card = entry.card.replace(name=name, post=post)
    fitted = dataclasses.replace(entry, name=name, card=card)
    monkeypatch.setattr("napari_cellseg.gui.boxes.model.list_models", lambda: [fitted])
    monkeypatch.setattr("napari_cellseg.gui.segment.network.find_model", lambda _: entry)
    other = type(tab)(qtbot, tab.viewer)
    tab.viewer.add_image(discs())
    other.run()
    live, wanted = other.panel.view.live, PostParams(**post)
    assert live.form.params == wanted
    assert live.form.controls["contour_gap"].value() == 2
    assert live.preset.currentText() == "Default"
    assert other.panel.session.run.recipe.post == wanted
    live.preset.setCurrentText("Whole cells only")
    live.preset.activated.emit(live.preset.currentIndex())
    assert other.panel.session.recipe.post == wanted.replace(edge_objects="remove")
    live.reset.click()
    assert other.panel.session.recipe.post == wanted
    other.settle()
    other.close()


def test_presets_and_reset(tab):
    live = tab.panel.view.live
    live.preset.setCurrentText("Smooth outlines")
    live.preset.activated.emit(live.preset.currentIndex())
    assert tab.panel.session.recipe.post.opening == 2
    live.form.controls["opening"]._spin.setValue(5)
    assert live.preset.currentText() == "Custom"
    live.save_preset("My own")
    assert live.preset.currentText() == "My own"
    live.reset.click()
    assert tab.panel.session.recipe.post == tab.panel.session.start.post
    assert live.preset.currentText() == "Default"


def test_the_card_says_what_the_model_is(tab):
    model = tab.panel.view.model
    text = model.details.text()
    for fact in ("CC0-1.0", "Simulated discs", "12 images", "AP@0.5 0.91", "valleys"):
        assert fact in text
    rows = model.combo.model()
    titles = [rows.item(row).text().strip() for row in range(rows.rowCount())]
    headings = {"Included", "Mine"} & set(titles)
    assert "Mine" in headings
    assert titles.index("Bright things") == titles.index("Mine") + 1
    assert not any(rows.item(titles.index(heading)).isEnabled() for heading in headings)
    assert titles[-1] == "From file…"


def test_scores_on_the_card_are_readable(tab):
    from napari_cellseg.gui.boxes.model import card_html

    scores = {
        "val: some_data set": {"ap50": 0.859, "map": 0.5, "pq": 0.71, "images": 53.0},
        "other_part": {"F1": 0.5, "images": 1.0},
    }
    card = tab.panel.view.model.entry.card
    text = card_html(card.replace(scores=scores))
    assert "some data set: AP50 0.86, PQ 0.71 (53 images)" in text
    assert "other part: F1 0.50 (1 image)" in text


def test_a_long_model_title_is_shortened_and_told_in_full(tab, monkeypatch):
    model = tab.panel.view.model
    title = "A title that is much too long for a box of a hundred pixels"
    long = dataclasses.replace(model.entry, card=model.entry.card.replace(title=title))
    monkeypatch.setattr("napari_cellseg.gui.boxes.model.list_models", lambda: [long])
    model.refresh_models()
    model.combo.resize(150, 24)
    assert model.combo.shown_text().startswith("A title")
    assert model.combo.shown_text().endswith("…")
    assert title in model.combo.toolTip()
    model.combo.resize(1500, 24)
    assert model.combo.shown_text() == title


def test_a_folder_that_is_no_model_is_refused(tab, tmp_path):
    tab.panel.view.model.open_model(tmp_path)
    assert "card.json" in tab.panel.view.run.message.text()


@pytest.mark.parametrize("kind", ["zip", "card.json"])
def test_a_model_from_elsewhere_is_opened_from_its_zip_or_its_card(
    tab, tmp_path, monkeypatch, kind
):
    from napari_cellseg.core.zoo.export import export_model
    from napari_cellseg.core.zoo.store import find_model
    from napari_cellseg.gui.boxes import model as module

    path = export_model("valleys", tmp_path / "given.zip")
    if kind != "zip":
        path = shutil.copytree(find_model("valleys").folder, tmp_path / "given") / kind
    monkeypatch.setattr(
        module.QFileDialog, "getOpenFileName", lambda *args, **kwargs: (str(path), "")
    )
    box = tab.panel.view.model
    box.combo.activated.emit(box.combo.findText("From file…"))
    assert box.entry.group == "file"
    tab.viewer.add_image(discs())
    tab.run()
    assert tab.labels.max() > 10


def test_diameter_in_pixels_and_micrometres(tab):
    tab.viewer.add_image(discs(), scale=(0.5, 0.5), units=("um", "um"))
    box = tab.panel.view.model.diameter
    assert box.pixels is None
    box.mode.setCurrentIndex(box.mode.findData("um"))
    box.spin.setValue(10)
    assert tab.panel.session.recipe.preparation.diameter == 20
    assert "×" in box.note.text()
    box.set_pixels(None)
    assert tab.panel.session.recipe.preparation.diameter is None


def test_controls_are_named_for_screen_readers(tab):
    view = tab.panel.view
    for widget in (view.image.layer_combo, view.model.combo, view.run.device, view.run.scope):
        assert widget.accessibleName()
        assert widget.toolTip()
    assert "Ctrl+Return" in view.run.button.toolTip() or not view.run.button.isEnabled()


def test_napari_images_layers_choose_the_active_one(tab):
    first = tab.viewer.add_image(discs(), name="a")
    tab.viewer.add_image(discs(), name="b")
    assert tab.panel.view.image.layer.name == "b"
    tab.viewer.layers.selection.active = first
    assert tab.panel.view.image.layer is first
    tab.viewer.layers.remove(first)
    assert tab.panel.view.image.layer.name == "b"


def test_a_model_s_own_diameter_is_proposed_and_the_user_s_kept(tab):
    box = tab.panel.view.model.diameter
    box.propose(65.04)
    assert box.pixels == pytest.approx(65)
    assert tab.panel.session.recipe.preparation.diameter == pytest.approx(65)
    box.propose(None)
    assert box.pixels is None
    box.set_pixels(40)
    box.propose(65)
    assert box.pixels == 40
