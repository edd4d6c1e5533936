"""The tab Batch: the list, what becomes of each image, cancelling, going on, and what is told."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from qtpy.QtCore import QMimeData, QPoint, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_cellseg.core.batch.queue import Item, State
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.gui.batch.listing import LAYER_GONE
from napari_cellseg.gui.boxes.batch_images import EMPTY
from napari_cellseg.gui.boxes.batch_model import IMAGE, STATE, Row, words
from napari_cellseg.gui.boxes.batch_order import FILE, OTHER, PRESENT
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.panels import batch as module
from napari_cellseg.gui.panels.batch import BatchPanel
from napari_cellseg.gui.preferences import Models, Preferences, Runtime
from napari_cellseg.session.settings import SegmentSettings

from .conftest import discs

ROOM = 60_000  # ms


class Tab:
    def __init__(self, qtbot) -> None:
        self.qtbot, self.viewer = qtbot, ViewerModel()
        self.panel = BatchPanel(self.viewer)
        self.images, self.order = self.panel.view.images, self.panel.view.order
        qtbot.addWidget(self.panel)
        self.panel.show()
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.panel.runner.busy, timeout=ROOM)

    def add(self, *paths) -> None:
        self.panel.listing.add_paths(list(paths))
        self.settle()

    def run(self) -> None:
        self.order.start.click()
        self.settle()

    def shown(self, column=STATE) -> list[str]:
        model = self.images.model
        return [model.index(row, column).data() for row in range(model.rowCount())]

    @property
    def message(self) -> str:
        return self.order.message.text()


@pytest.fixture
def tab(qtbot, valleys, monkeypatch):
    preferences = Preferences(runtime=Runtime(device="cpu"), models=Models(default=valleys))
    monkeypatch.setattr(module, "read_preferences", lambda: preferences)
    monkeypatch.setattr(module, "show_error", lambda text: None)
    tab = Tab(qtbot)
    yield tab
    tab.panel.shut_down()
    tab.settle()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two images and a file that is none."""
    folder = tmp_path / "plate"
    folder.mkdir()
    for seed in range(2):
        tifffile.imwrite(folder / f"f{seed}.tif", discs((90, 120), seed))
    (folder / "g.tif").write_bytes(b"no image")
    return folder


def held(tab, monkeypatch, after=1):
    """Let a batch wait after so many images; return what lets it go on."""
    from napari_cellseg.core.workflows import batch_pipeline

    gate, seen, real = SimpleNamespace(open=False), [], batch_pipeline.first_pass

    def waiting(image, *arguments, **options):
        seen.append(image.name)
        steps = real(image, *arguments, **options)
        while len(seen) > after and not gate.open:
            yield next(steps)
            tab.qtbot  # noqa: B018
            import time

            time.sleep(0.01)
            steps.close()
            steps = real(image, *arguments, **options)
        return (yield from steps)

    monkeypatch.setattr(batch_pipeline, "first_pass", waiting)
    return gate


def test_a_folder_is_segmented_as_segment_does_and_the_bad_file_says_why(tab, folder):
    assert tab.images.note.text() == EMPTY
    assert not tab.order.start.isEnabled()
    assert "Add images" in tab.order.start.toolTip()
    tab.add(folder)
    assert tab.shown(IMAGE) == ["f0.tif", "f1.tif", "g.tif"]
    assert tab.shown() == ["", "", ""]
    assert tab.order.folder.text() == str(folder / "cellseg")
    tab.order.measure.setChecked(True)
    tab.run()
    assert tab.shown()[:2] == ["done", "done"]
    assert tab.shown()[2].startswith("failed: 'g.tif' is not an image")
    assert tab.images.view.columnSpan(2, STATE) == 3
    assert "2 of 3 images" in tab.message
    assert "1 failed" in tab.message
    recipe = Recipe.load(folder / "cellseg" / "recipe.json")
    for row in tab.panel.listing.rows[:2]:
        path = folder / "cellseg" / "labels" / f"{row.input.name}_labels.tif"
        wanted = finish(segment(read_image(row.input.path), recipe, device="cpu"))
        np.testing.assert_array_equal(read_labels(path).data, wanted.labels.data)
        assert row.item.objects == wanted.labels.n_objects > 5
    with (folder / "cellseg" / "measurements.csv").open() as stream:
        assert {row["image"] for row in csv.DictReader(stream)} == {"f0", "f1"}
    tab.order.failed_requested.emit()
    assert tab.images.selected() == [2]
    assert tab.images.told.text() == tab.panel.listing.rows[2].problem


def test_started_again_only_what_is_missing_is_done(tab, folder):
    tab.add(folder)
    tab.run()
    (folder / "g.tif").unlink()
    tifffile.imwrite(folder / "g.tif", discs((90, 120), 5))
    tab.run()
    assert tab.shown() == ["done before", "done before", "done"]
    tab.order.again.setChecked(True)
    tab.run()
    assert tab.shown() == ["done"] * 3
    assert not tab.order.again.isChecked()


def test_nothing_is_listed_twice_and_rows_can_be_taken_away(tab, folder):
    tab.add(folder)
    tab.add(folder / "f1.tif", folder)
    assert len(tab.panel.listing.rows) == 3
    tab.images.view.selectRow(2)
    tab.images.remove.click()
    assert tab.shown(IMAGE) == ["f0.tif", "f1.tif"]


def test_each_image_of_a_file_is_a_row(tab, tmp_path):
    with tifffile.TiffWriter(tmp_path / "many.tif") as writer:
        for extra in range(2):
            writer.write(discs((90, 120 + extra), extra))
    tab.add(tmp_path / "many.tif")
    assert tab.shown(IMAGE) == ["many.tif #0", "many.tif #1"]
    tab.run()
    written = sorted(path.name for path in (tmp_path / "cellseg" / "labels").iterdir())
    assert written == ["many_0_labels.tif", "many_1_labels.tif"]


def test_files_that_are_dropped_are_listed(tab, folder):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder / "f0.tif")), QUrl("https://example.org/a.tif")])
    event = QDropEvent(
        QPoint(5, 5).toPointF(),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    tab.images.dropEvent(event)
    tab.settle()
    assert tab.shown(IMAGE) == ["f0.tif"]


def test_a_folder_without_images_is_told_and_the_others_are_listed(tab, folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    tab.add(empty, folder / "f0.tif")
    assert f"'{empty}' holds no image" in tab.message
    assert tab.shown(IMAGE) == ["f0.tif"]


class TestLayers:
    def test_a_layer_is_segmented_beside_files_and_its_labels_open_over_it(self, tab, folder):
        layer = tab.viewer.add_image(discs(), name="a/b", scale=(0.5, 0.5), units="um")
        tab.add(folder / "f0.tif")
        menu = tab.images.layers.menu()
        (action,) = (one for one in menu.actions() if one.text() == "a/b")
        action.trigger()
        tab.settle()
        assert tab.shown(IMAGE) == ["f0.tif", "a/b"]
        tab.run()
        labels = read_labels(folder / "cellseg" / "labels" / "a_b_labels.tif")
        assert labels.pixel_size == pytest.approx((0.5, 0.5))
        tab.images.view.doubleClicked.emit(tab.images.model.index(1, 0))
        tab.settle()
        image, shown = tab.viewer.layers
        assert image is layer
        np.testing.assert_array_equal(shown.data, labels.data)
        np.testing.assert_array_equal(shown.scale, layer.scale)
        tab.panel.open_result(1)
        tab.panel.listing.add_layers([layer])
        tab.settle()
        assert len(tab.viewer.layers) == len(tab.panel.listing.rows) == 2
        tab.run()
        assert tab.shown() == ["done before"] * 2
        tab.panel.choices.take_up(folder / "cellseg")
        tab.settle()
        tab.qtbot.waitUntil(lambda: tab.shown(IMAGE) == ["f0.tif", "a/b"], timeout=ROOM)

    def test_axes_in_doubt_are_asked_for(self, tab, tmp_path):
        layer = tab.viewer.add_image(np.stack([discs((90, 120))] * 3), name="stack")
        tab.panel.listing.add_layers([layer])
        tab.settle()
        assert tab.shown() == []
        assert "3 x 90 x 120" in tab.message
        tab.order.axes.setText("zyx")
        tab.panel.listing.add_layers([layer])
        tab.settle()
        tab.order.folder.setText(str(tmp_path / "out"))
        tab.run()
        assert tab.shown() == ["done"]
        assert read_labels(tmp_path / "out" / "labels" / "stack_labels.tif").axes == "ZYX"

    def test_one_that_is_removed_is_left_out_also_in_mid_run(self, tab, tmp_path, monkeypatch):
        layers = [tab.viewer.add_image(discs((90, 120), k), name=f"l{k}") for k in range(4)]
        tab.panel.listing.add_layers(layers)
        tab.settle()
        tab.viewer.layers.remove("l0")
        assert tab.shown(IMAGE) == ["l1", "l2", "l3"]
        assert LAYER_GONE in tab.message
        tab.order.folder.setText(str(tmp_path / "out"))
        gate = held(tab, monkeypatch)
        tab.order.start.click()
        tab.qtbot.waitUntil(lambda: "running" in tab.shown()[1], timeout=ROOM)
        for name in ("l2", "l3"):
            tab.viewer.layers.remove(name)
        gate.open = True
        tab.settle()
        assert tab.shown() == ["done", *[f"left out: {LAYER_GONE}"] * 2]


class TestCancelled:
    def test_one_and_then_all_and_then_it_goes_on(self, tab, tmp_path, monkeypatch):
        folder = tmp_path / "in"
        folder.mkdir()
        for k in range(5):
            tifffile.imwrite(folder / f"f{k}.tif", discs((90, 120), k))
        tab.add(folder)
        gate = held(tab, monkeypatch)
        tab.order.start.click()
        assert not tab.order.choices.isEnabled()
        assert tab.images.remove.text() == "Skip"
        tab.qtbot.waitUntil(lambda: "running" in tab.shown()[1], timeout=ROOM)
        assert "of 5 images" in tab.order.status.text()
        tab.images.view.selectRow(3)
        tab.images.remove.click()
        tab.qtbot.waitUntil(lambda: tab.shown()[3] == "cancelled", timeout=ROOM)
        tab.order.start.click()
        assert tab.order.start.text() == "Cancel all"
        tab.settle()
        assert tab.shown() == ["done", *["cancelled"] * 4]
        assert "4 left out" in tab.message
        gate.open = True
        tab.run()
        assert tab.shown() == ["done before", *["done"] * 4]

    def test_a_closed_tab_leaves_a_batch_that_can_be_taken_up(self, tab, tmp_path, monkeypatch):
        folder = tmp_path / "in"
        folder.mkdir()
        for k in range(3):
            tifffile.imwrite(folder / f"f{k}.tif", discs((90, 120), k))
        tab.add(folder)
        tab.order.measure.setChecked(True)
        gate = held(tab, monkeypatch)
        tab.order.start.click()
        tab.qtbot.waitUntil(lambda: "running" in tab.shown()[1], timeout=ROOM)
        tab.panel.shut_down()
        tab.settle()
        gate.open = True
        out = folder / "cellseg"
        assert "1 of 3 images" in (out / "report.txt").read_text()
        again = Tab(tab.qtbot)
        again.panel.choices.take_up(out)
        again.settle()
        again.qtbot.waitUntil(lambda: len(again.shown()) == 3, timeout=ROOM)
        again.settle()
        assert again.shown() == ["done before", "done", "done"]
        assert again.order.measure.isChecked()
        assert again.order.recipe.currentText() == "cellseg/recipe.json"
        again.panel.shut_down()
        again.settle()

    def test_a_folder_without_a_batch_cannot_be_taken_up(self, tab, tmp_path):
        tab.panel.choices.take_up(tmp_path)
        tab.settle()
        assert "holds no batch" in tab.message


class TestRecipe:
    def test_it_is_that_of_the_tab_segment_as_it_is_now(self, tab, folder):
        assert tab.order.recipe.currentText() == "The default model"
        start = tab.panel.choices.recipe
        tab.add(folder / "f0.tif")
        other = start.with_setting("post.min_area", 77)
        desk_of(tab.viewer).settings = SegmentSettings(recipe=other)
        tab.panel.hide()
        tab.panel.show()
        assert tab.order.recipe.currentText() == "As set in Segment"
        tab.run()
        assert Recipe.load(folder / "cellseg" / "recipe.json").post.min_area == 77

    def test_a_file_is_taken_and_a_bad_one_told(self, tab, folder, monkeypatch, tmp_path):
        path = tmp_path / "mine.json"
        path.write_text(tab.panel.choices.recipe.with_setting("post.min_area", 66).to_json())
        chosen = [str(path)]
        dialog = "napari_cellseg.gui.batch.choices.QFileDialog.getOpenFileName"
        monkeypatch.setattr(dialog, lambda *_: (chosen[0], ""))
        tab.order.recipe_chosen.emit(OTHER)
        tab.settle()
        assert tab.panel.choices.recipe.post.min_area == 66
        assert tab.order.recipe.currentData() == FILE
        path.write_text("{")
        tab.order.recipe_chosen.emit(OTHER)
        tab.settle()
        assert "not readable JSON" in tab.message
        tab.order.recipe_chosen.emit(PRESENT)
        assert tab.panel.choices.recipe.post.min_area != 66

    def test_results_of_another_are_not_replaced_unless_asked(self, tab, folder):
        tab.add(folder / "f0.tif")
        tab.run()
        other = tab.panel.choices.recipe.with_setting("post.min_area", 77)
        tab.panel.choices.take_recipe("other.json", other)
        tab.run()
        assert "another recipe (1 image)" in tab.message
        tab.order.again.setChecked(True)
        tab.run()
        assert tab.shown() == ["done"]


def test_other_formats_are_written_too(tab, folder):
    tab.add(folder / "f0.tif")
    tab.order.show_settings(BatchSettings(formats=("imagej-roi", "geojson")))
    assert "Regions for ImageJ" in tab.order.formats.text()
    tab.run()
    out = folder / "cellseg"
    assert (out / "imagej-roi" / "f0.zip").is_file()
    assert (out / "geojson" / "f0.geojson").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such mode there")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_told(tab, folder, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    tab.add(folder / "f0.tif")
    tab.order.folder.setText(str(closed / "out"))
    tab.run()
    assert "write-protected" in tab.message


def test_a_file_in_the_way_of_the_results_is_told(tab, folder):
    tab.add(folder / "f0.tif")
    tab.order.folder.setText(str(folder / "f1.tif"))
    tab.run()
    assert "choose another folder" in tab.message
    assert tab.order.start.text() == "Start"


def test_a_full_disk_is_told_and_ends_the_batch(tab, folder, monkeypatch):
    from napari_cellseg.core.batch.results import BatchWriter
    from napari_cellseg.core.files import output_error

    def full(*_):
        raise output_error(Path("x"), OSError(28, "No space left on device"))

    monkeypatch.setattr(BatchWriter, "write", full)
    tab.add(folder / "f0.tif")
    tab.run()
    assert "disk is full" in tab.message
    assert "disk is full" in tab.shown()[0]


def test_a_result_that_is_gone_is_told(tab, folder):
    tab.add(folder / "f0.tif")
    tab.run()
    (folder / "cellseg" / "labels" / "f0_labels.tif").unlink()
    tab.panel.open_result(0)
    tab.settle()
    assert "There is no file" in tab.message
    assert not tab.viewer.layers


def test_the_image_that_is_open_already_is_not_opened_twice(tab, folder):
    tab.add(folder / "f0.tif")
    tab.run()
    for _ in range(2):
        tab.panel.open_result(0)
        tab.settle()
    image, labels = tab.viewer.layers
    assert image.source.path == str(folder / "f0.tif")
    tab.viewer.layers.remove(labels)
    tab.panel.open_result(0)
    tab.settle()
    assert tab.viewer.layers[0] is image
    assert len(tab.viewer.layers) == 2


@pytest.mark.parametrize(
    ("state", "note", "share", "expected"),
    [
        (State.WAITING, "", 0, "waiting"),
        (State.RUNNING, "", 0, "running"),
        (State.RUNNING, "", 0.25, "running, 25 %"),
        (State.SKIPPED, "Finished before.", 0, "done before"),
        (State.SKIPPED, "Cancelled.", 0, "cancelled"),
        (State.SKIPPED, "Its layer is gone.", 0, "left out"),
        (State.FAILED, "It is broken.", 0, "failed"),
    ],
)
def test_states_are_told_in_words(state, note, share, expected):
    item = Item(0, SimpleNamespace(title="x"), state, note, share=share)
    assert words(item) == expected
    row = Row(item.input, item)
    assert row.problem == (note if expected in ("left out", "failed") else "")
    assert row.has_result == (expected == "done before")
