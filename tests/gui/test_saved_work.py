"""Work that was saved opens as it was: labels, decisions, sliders, and the image it belongs to."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.saved.opening import read_work
from napari_cellseg.gui import contributions
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.saved import save
from napari_cellseg.gui.saved.collect import collect
from napari_cellseg.gui.saved.opened import WORK_KEY
from napari_cellseg.gui.saved.reader import read_layers
from napari_cellseg.session.corrections.states import ObjectState

from .conftest import Tab, discs

PLACE = {"scale": (0.5, 0.25), "translate": (3, 4), "units": ("um", "um")}


@pytest.fixture
def worked(tab, field):
    """A run, of which an object was deleted and another accepted, on an image with a file."""
    image = tab.viewer.add_image(discs(), name="field", colormap="magma", **PLACE)
    image._source = image.source.model_copy(update={"path": str(field)})
    tab.run()
    document = tab.panel.result.binding.document
    plane = document.plane(())
    document.edit("Delete", (), delete(plane, document.objects(()), (1,)))
    accepted = ObjectState("accepted", True, "odd")
    document.decide("Accept", {2: accepted})
    area = np.zeros(plane.shape, bool)
    area[:30, :40] = True
    document.set_reviewed(area)
    return tab


def opened(viewer, path, **options):
    """Open saved work in a viewer as napari does."""
    return [viewer.add_layer(Layer.create(*one)) for one in read_layers(path, **options)]


@pytest.fixture
def second(qtbot, valleys, cold):
    tabs = []

    def make(viewer):
        tabs.append(Tab(qtbot, viewer))
        return tabs[-1]

    yield make
    for one in tabs:
        one.close()


def saved(qtbot, tab, path):
    with qtbot.waitSignal(save.save_in_background(tab.viewer, tab.layer, path).finished):
        pass
    return path


def test_it_opens_as_it_was_and_the_sliders_move_it(qtbot, worked, second, tmp_path):
    tab, path = worked, tmp_path / "w.cellseg"
    tab.move("min_area", 60)
    saved(qtbot, tab, path)
    labels, states = tab.labels.copy(), tab.panel.result.binding.document.states
    recipe = tab.panel.session.run.recipe
    removed = tab.panel.session.run.removed_counts()

    viewer = ViewerModel()
    again = second(viewer)
    image, layer = opened(viewer, path)
    np.testing.assert_array_equal(image.data, discs())
    np.testing.assert_array_equal(layer.data, labels)
    assert (image.name, layer.name) == ("field", tab.layer.name)
    assert image.colormap.name == "magma"
    for one in (image, layer):
        np.testing.assert_array_equal(one.scale, PLACE["scale"])
        np.testing.assert_array_equal(one.translate, PLACE["translate"])
        assert [str(unit) for unit in one.units] == ["micrometer"] * 2
    qtbot.waitUntil(lambda: again.layer is layer, timeout=30_000)
    session, document = again.panel.session, again.panel.result.binding.document
    assert session.run.recipe == recipe
    assert session.recipe.post == recipe.post
    assert session.run.removed_counts() == removed
    assert document.states == states
    assert document.states[2] == ObjectState("accepted", True, "odd")
    assert document.erased.size
    assert session.run.record.objects == len(np.unique(labels)) - 1

    for one in (tab, again):
        one.move("min_area", 5)
    assert_same_objects(again.labels, tab.labels)
    assert not np.array_equal(again.labels, labels)
    assert again.panel.result.continues(_request(again, image))


def assert_same_objects(one, other):
    """Check that the pixels are the same, whatever numbers new objects were given."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    assert len(set(pairs[0])) == len(set(pairs[1])) == pairs.shape[1]
    np.testing.assert_array_equal(one == 2, other == 2)  # what was decided keeps its number
    assert [0, 0] in pairs.T.tolist()


def _request(tab, layer):
    from napari_cellseg.gui.geometry import full_box
    from napari_cellseg.gui.segment.network import Request
    from napari_cellseg.gui.segment.scope import Part

    axes = tab.panel.view.image.axes
    return Request(layer, axes, Part(full_box(layer, axes), None), tab.panel.session.recipe, "cpu")


def test_what_was_done_and_reviewed_is_told_on(qtbot, worked, second, tmp_path):
    tab, path = worked, tmp_path / "w.cellseg"
    saved(qtbot, tab, path)
    work = read_work(path)
    assert [step["name"] for step in work.history] == ["Delete", "Accept"]
    assert [step["objects"] for step in work.history] == [[1], [2]]
    assert work.history[1]["decided"] == {"accepted": [2]}
    assert all(step["when"] and "by" in step for step in work.history)
    assert work.labels.provenance["corrections"]["states"]["id"] == [2]
    assert "history" not in work.labels.provenance

    viewer = ViewerModel()
    again = second(viewer)
    _, layer = opened(viewer, path)
    qtbot.waitUntil(lambda: again.layer is layer, timeout=30_000)
    again.panel.result.binding.document.decide("Accept", {3: ObjectState("accepted", True)})
    saved(qtbot, again, tmp_path / "v.cellseg")
    names = [step["name"] for step in read_work(tmp_path / "v.cellseg").history]
    assert names == ["Delete", "Accept", "Accept"]


def test_opened_and_saved_without_the_tab_nothing_is_lost(qtbot, worked, tmp_path):
    path, copy = tmp_path / "w.cellseg", tmp_path / "copy.cellseg"
    saved(qtbot, worked, path)
    first = read_work(path)
    viewer = ViewerModel()
    _, layer = opened(viewer, path)
    assert WORK_KEY in layer.metadata
    collect(layer, None, list(viewer.layers)).write(copy)
    second = read_work(copy)
    np.testing.assert_array_equal(second.labels.data, first.labels.data)
    for name, kept in first.prediction.maps.items():
        np.testing.assert_array_equal(second.prediction.maps[name], kept)
    assert second.recipe == first.recipe
    assert second.history == first.history
    assert second.image.sha256 == first.image.sha256
    assert second.labels.provenance == first.labels.provenance


def test_an_image_that_moved_is_asked_for(qtbot, worked, field, tmp_path, monkeypatch):
    path = saved(qtbot, worked, tmp_path / "w.cellseg")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = elsewhere / "other.tif"
    tifffile.imwrite(other, discs(seed=9))
    moved = field.rename(elsewhere / "new name.tif")
    asked = []

    def ask(reason, folder):
        asked.append(reason)
        return [other, moved][len(asked) - 1]

    viewer = ViewerModel()
    image, labels = opened(viewer, path, ask=ask)
    np.testing.assert_array_equal(image.data, discs())
    image._source = image.source.model_copy(update={"path": str(path)})  # as napari does
    save.collected(viewer, labels).write(tmp_path / "again.cellseg")
    again = read_work(tmp_path / "again.cellseg")
    assert (again.image.path, again.pixels) == (str(moved), None)
    assert "neither at" in asked[0]
    assert "other pixels" in asked[1]
    warned = []
    monkeypatch.setattr("napari_cellseg.gui.saved.reader.show_warning", warned.append)
    (layer,) = opened(ViewerModel(), path)
    np.testing.assert_array_equal(layer.data, worked.labels)
    assert "without it" in warned[0]
    assert len(read_layers(path, ask=lambda *_: None)) == 1


def test_without_the_image_the_sliders_move_too(
    qtbot, worked, field, second, tmp_path, monkeypatch
):
    path = saved(qtbot, worked, tmp_path / "w.cellseg")
    field.unlink()
    monkeypatch.setattr("napari_cellseg.gui.saved.reader.show_warning", lambda text: None)
    viewer = ViewerModel()
    again = second(viewer)
    (layer,) = opened(viewer, path)
    qtbot.waitUntil(lambda: again.layer is layer, timeout=30_000)
    for one in (worked, again):
        one.move("foreground_threshold", 0.7)
    np.testing.assert_array_equal(again.labels, worked.labels)


def test_an_image_that_never_had_a_file_lies_in_the_work(qtbot, tab, tmp_path):
    stack = np.stack([discs(), discs(seed=1)])
    tab.viewer.add_image(stack, name="made", axis_labels=("t", "y", "x"))
    tab.run()
    path = saved(qtbot, tab, tmp_path / "w.cellseg")
    image, layer = opened(ViewerModel(), path)
    np.testing.assert_array_equal(image.data, stack)
    np.testing.assert_array_equal(layer.data, tab.labels)


def test_labels_from_elsewhere_are_saved_with_the_image_that_fits(tmp_path):
    viewer = ViewerModel()
    viewer.add_image(np.ones((7, 9)), name="other size")
    viewer.add_image(discs(), name="fits")
    layer = viewer.add_labels((discs() > 100).astype(np.int32))
    binding = desk_of(viewer).bind(layer)
    save.collected(viewer, layer).write(tmp_path / "w.cellseg")
    work = read_work(tmp_path / "w.cellseg")
    assert work.image.name == "fits"
    assert work.prediction is None
    again = ViewerModel()
    _, back = opened(again, tmp_path / "w.cellseg")
    np.testing.assert_array_equal(back.data, layer.data)
    assert desk_of(again).bind(back).document.states == binding.document.states


class TestContributions:
    def test_the_reader_takes_saved_work_alone(self, tmp_path):
        assert contributions.get_work_reader("a.tif") is None
        assert contributions.get_work_reader([]) is None
        assert contributions.get_work_reader(["a.cellseg", "b.tif"]) is None
        reader = contributions.get_work_reader("a.CELLSEG")
        with pytest.raises(DataError, match="no file"):
            reader(str(tmp_path / "a.CELLSEG"))

    def test_the_writer_saves_the_layer_of_the_viewer(self, qtbot, worked, tmp_path, monkeypatch):
        data, attributes, _ = worked.layer.as_layer_data_tuple()
        monkeypatch.setattr(save.napari, "current_viewer", lambda: worked.viewer)
        (written,) = contributions.write_work(str(tmp_path / "w"), data, attributes)
        assert written == str(tmp_path / "w.cellseg")
        np.testing.assert_array_equal(read_work(tmp_path / "w.cellseg").labels.data, data)
        assert read_work(tmp_path / "w.cellseg").prediction is not None
        monkeypatch.setattr(save.napari, "current_viewer", lambda: None)
        with pytest.raises(ImageError, match="no viewer"):
            contributions.write_work(str(tmp_path / "w"), data, attributes)

    def test_the_menu_asks_for_a_file_and_tells(self, qtbot, worked, field, tmp_path, monkeypatch):
        told, proposed = [], []
        monkeypatch.setattr(save, "show_info", told.append)
        monkeypatch.setattr(save, "show_error", told.append)
        chosen = [str(tmp_path / "w")]
        dialog = save.QFileDialog
        monkeypatch.setattr(
            dialog, "getSaveFileName", lambda *given: proposed.append(given[2]) or (chosen[0], "")
        )
        job = save.ask_and_save(worked.viewer)
        qtbot.waitUntil(lambda: bool(told), timeout=30_000)
        assert proposed == [str(field.parent / f"{worked.layer.name}.cellseg")]
        assert "w.cellseg" in told[0]
        chosen[0] = str(tmp_path / "absent" / "w.cellseg")
        job = save.ask_and_save(worked.viewer)
        qtbot.waitUntil(lambda: len(told) == 2, timeout=30_000)
        assert "folder does not exist" in told[1]
        chosen[0] = ""
        assert save.ask_and_save(worked.viewer) is None
        assert save.ask_and_save(ViewerModel()) is None
        assert "no labels" in told[2]
        assert job is not None
