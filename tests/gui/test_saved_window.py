"""Saved work in a real window: without its image, damaged, and opened twice."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.saved.opening import read_work
from napari_cellseg.gui import contributions
from napari_cellseg.gui.contributions import open_dock
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.saved import opening, reader, save

from .conftest import discs

ROOM = 60_000  # ms
SCALE = (0.5, 0.5)


class Window:
    """A viewer with the dock, in which work is saved and opened as a person does."""

    def __init__(self, qtbot, viewer) -> None:
        self.qtbot, self.viewer = qtbot, viewer
        self.panel = open_dock(viewer).panel("segment")

    def settle(self) -> None:
        self.qtbot.waitUntil(
            lambda: not (self.panel.network.running or self.panel.live.busy), timeout=ROOM
        )
        self.qtbot.waitUntil(lambda: not self.panel.runner.busy, timeout=ROOM)

    def work(self, field, path) -> None:
        """Segment an image, delete an object, save, and leave nothing open."""
        image = self.viewer.add_image(tifffile.imread(field), name="field", scale=SCALE, units="um")
        image._source = image.source.model_copy(update={"path": str(field)})
        self.panel.run()
        self.settle()
        self.delete(self.panel.result.layer, 1)
        self.save(self.panel.result.layer, path)
        self.viewer.layers.clear()

    def delete(self, layer, number) -> None:
        document = desk_of(self.viewer).of(layer).document
        plane = document.plane(())
        document.edit("Delete", (), delete(plane, document.objects(()), (number,)))

    def save(self, layer, path) -> None:
        with self.qtbot.waitSignal(
            save.save_in_background(self.viewer, layer, path).finished, timeout=ROOM
        ):
            pass

    def open(self, *paths):
        """Open files as a drop does, and wait for the sliders."""
        self.viewer.window._qt_viewer._qt_open([str(path) for path in paths], stack=False)
        self.qtbot.wait(50)
        self.settle()
        return list(self.viewer.layers)


@pytest.fixture
def window(make_napari_viewer, qtbot, valleys, cold):
    window = Window(qtbot, make_napari_viewer(show=True))
    yield window
    window.panel.shut_down()
    window.settle()


@pytest.fixture
def told(monkeypatch):
    told = []
    for module in (opening, reader):
        monkeypatch.setattr(module, "show_warning", told.append)
    monkeypatch.setattr(opening, "show_error", told.append)
    return told


def answer(*buttons):
    """Click a button of each dialog that comes; return what the dialogs say."""
    said, left = [], list(buttons)

    def look():
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            said.append(box.text())
            wanted = left.pop(0)
            next(one for one in box.buttons() if one.text() == wanted).click()
        if left:
            QTimer.singleShot(20, look)

    QTimer.singleShot(20, look)
    return said


def test_without_its_image_work_is_corrected_and_saved_and_finds_it_later(
    window, field, told, tmp_path, monkeypatch
):
    path, again = tmp_path / "w.cellseg", tmp_path / "again.cellseg"
    window.work(field, path)
    first = read_work(path)
    moved = field.rename(tmp_path / "moved.tif")
    said = answer("Open without it")
    (layer,) = window.open(path)
    assert "neither at" in said[0]
    assert told == []  # who has chosen it knows
    assert window.panel.result.layer is layer
    np.testing.assert_array_equal(layer.scale, SCALE)
    window.delete(layer, 5)
    window.save(layer, again)
    alone = read_work(again)
    assert alone.image == first.image
    assert alone.recipe == first.recipe
    assert alone.prediction is not None
    # As large, and open beside them, but another image.
    window.viewer.add_image(discs(seed=9), name="other")
    window.save(layer, again)
    second = read_work(again)
    assert 5 in first.labels.data
    assert 5 not in second.labels.data
    assert second.image == first.image
    assert second.box == first.box
    assert second.recipe == first.recipe
    assert second.view["image"] == first.view["image"]
    for name, kept in first.prediction.maps.items():
        np.testing.assert_array_equal(second.prediction.maps[name], kept)

    window.viewer.layers.clear()
    chosen = ["", str(moved)]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen.pop(0), ""))
    said = answer("Choose the image…", "Choose the image…")  # left once, and so asked again
    image, layer = window.open(again)
    assert len(said) == 2
    np.testing.assert_array_equal(image.data, discs())
    np.testing.assert_array_equal(image.scale, SCALE)
    assert desk_of(window.viewer).of(layer).origin[0] is image
    window.save(layer, again)
    assert read_work(again).image.path == str(moved)


def test_an_image_that_is_opened_by_hand_is_the_one_if_its_pixels_are(window, field, tmp_path):
    path, again = tmp_path / "w.cellseg", tmp_path / "again.cellseg"
    window.work(field, path)
    moved = field.rename(tmp_path / "moved.tif")
    answer("Open without it")
    (layer,) = window.open(path)
    window.viewer.open(str(moved), plugin="napari")
    window.save(layer, again)
    found = read_work(again)
    assert found.image.path == str(moved)
    assert found.prediction is not None


def rewritten(path, change):
    """Change what the session.json of saved work says."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    session = json.loads(members["session.json"])
    change(session)
    members["session.json"] = json.dumps(session).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def _flipped(path):
    with zipfile.ZipFile(path) as archive:
        labels = archive.getinfo("labels.npy")
    body = bytearray(path.read_bytes())
    body[labels.header_offset + 60 + labels.compress_size // 2] ^= 0xFF
    path.write_bytes(body)


def _other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "x")


DAMAGE = {
    "copy it again": _cut,
    "earlier one": _flipped,
    "or open an earlier": lambda path: path.write_bytes(b""),
    "that 'Save work' has written": _other_zip,
    "update napari-cellseg": lambda path: rewritten(
        path, lambda told: told.update(schema_version=7)
    ),
}


def test_a_damaged_file_is_told_in_one_sentence_and_opens_nothing(
    window, field, told, tmp_path, monkeypatch
):
    path, bad = tmp_path / "w.cellseg", tmp_path / "bad.cellseg"
    window.work(field, path)
    before = [window.viewer.add_labels(np.ones((4, 5), np.int32))]
    for remedy, damage in DAMAGE.items():
        bad.write_bytes(path.read_bytes())
        damage(bad)
        assert window.open(bad) == before
        (sentence,) = told
        assert sentence.startswith("'bad.cellseg' ")
        assert remedy in sentence
        told.clear()
    monkeypatch.setattr(opening, "visible_window", lambda: None)
    with pytest.raises(DataError, match="bad"):
        contributions.get_work_reader(str(bad))(str(bad))


def test_beside_a_damaged_file_a_whole_one_opens(window, field, told, tmp_path):
    path, bad = tmp_path / "w.cellseg", tmp_path / "bad.cellseg"
    window.work(field, path)
    bad.write_bytes(b"")
    assert len(contributions.get_work_reader([str(bad), str(path)])([str(bad), str(path)])) == 2
    assert len(told) == 1


BAD_VIEWS = [
    ("labels", {"scale": ["a", "b"]}),
    ("labels", {"affine": "x"}),
    ("image", {"contrast_limits": ["a", 5]}),
    ("image", {"units": ["second", "nonsense"]}),
]


def test_how_layers_were_shown_never_leaves_the_work_half_open(window, field, told, tmp_path):
    path, bad = tmp_path / "w.cellseg", tmp_path / "bad.cellseg"
    window.work(field, path)
    labels = read_work(path).labels.data
    for kind, change in BAD_VIEWS:
        bad.write_bytes(path.read_bytes())
        rewritten(bad, lambda session, kind=kind, new=change: session["view"][kind].update(new))
        image, layer = window.open(bad)
        np.testing.assert_array_equal(image.data, discs())
        np.testing.assert_array_equal(layer.data, labels)
        whole = {"image": layer, "labels": image}[kind]
        np.testing.assert_array_equal(whole.scale, SCALE)
        (sentence,) = told
        assert kind in sentence
        told.clear()
        window.viewer.layers.clear()


def test_opened_twice_each_has_its_own_image_and_what_was_corrected_stays(
    window, field, told, tmp_path
):
    path = tmp_path / "w.cellseg"
    window.work(field, path)
    stranger = window.viewer.add_image(np.zeros((160, 200), np.uint8), name="field")
    _, image, layer = window.open(path)
    assert told == []
    assert image.name != "field"
    desk = desk_of(window.viewer)
    assert desk.of(layer).origin[0] is image
    window.delete(layer, 7)
    corrected = layer.data.copy()
    *_, other, twin = window.open(path)
    assert len(told) == 1
    assert f"'{layer.name}'" in told[0]
    assert desk.of(twin).origin[0] is other
    assert desk.of(layer).origin[0] is image
    assert 7 in twin.data
    np.testing.assert_array_equal(layer.data, corrected)
    assert stranger in window.viewer.layers
    window.viewer.layers.remove(layer)
    window.viewer.layers.remove(twin)
    window.open(path)
    assert len(told) == 1


@pytest.mark.parametrize("by", ["menu of the plugin", "Save Selected Layers"])
def test_work_is_open_where_it_was_saved_from(window, field, told, tmp_path, by):
    window.work(field, tmp_path / "w.cellseg")
    *_, layer = window.open(tmp_path / "w.cellseg")
    if by == "menu of the plugin":
        window.save(layer, tmp_path / "v.cellseg")
    else:
        contributions.write_work(str(tmp_path / "v.cellseg"), *layer.as_layer_data_tuple()[:2])
    window.open(tmp_path / "v.cellseg")
    assert len(told) == 1
    assert "'v.cellseg' was open already" in told[0]
