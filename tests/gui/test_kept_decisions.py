"""What a person decided is kept with the labels, through a file and back."""

import gc
import json
import weakref

import numpy as np
import pytest
import tifffile
from napari.components import LayerList, ViewerModel
from napari.layers import Labels

from napari_cellseg.core.editing.edit import changes
from napari_cellseg.core.export.label_tiff import write_labels as write
from napari_cellseg.core.reading import read_labels
from napari_cellseg.gui import contributions, features, layers
from napari_cellseg.gui.boxes.reviewed import ReviewedBox
from napari_cellseg.gui.correct.desk import Desk, desk_of
from napari_cellseg.gui.correct.reviewed import Reviewed
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.session.corrections.states import ObjectState

KEY = "napari-cellseg"


def squares(shape):
    labels = np.zeros(shape, np.int32)
    for k, (y, x) in enumerate([(2, 2), (2, 12), (12, 2), (12, 12)]):
        labels[..., y : y + 6, x : x + 6] = k + 1
    return labels


class Corner:
    """A viewer with labels on the workbench and their reviewed area."""

    def __init__(self, data, **options):
        self.viewer = ViewerModel()
        self.labels = self.viewer.add_labels(data, **options)
        self.bench = Workbench(self.viewer)
        self.told = []
        self.bench.told.connect(self.told.append)
        self.runner = JobRunner()
        self.box = ReviewedBox()
        self.reviewed = Reviewed(self.bench, self.runner, self.box)
        self.bench.take(self.labels)

    @property
    def document(self):
        return self.bench.binding.document

    def erase(self, box):
        plane = self.document.plane(self.bench.index())
        after = np.zeros_like(plane[box])
        self.bench.edit("Erase", lambda: changes(plane, box, after))


def saved(corner, path):
    """Save as napari does and read as napari does."""
    (written,) = contributions.write_labels(str(path), *corner.labels.as_layer_data_tuple()[:2])
    ((data, options, kind),) = contributions.get_reader(written)(written)
    assert kind == "labels"
    return data, options


@pytest.mark.parametrize("shape", [(20, 20), (2, 3, 20, 20)])
def test_decisions_come_back_from_a_file(qtbot, tmp_path, shape):
    axes = tuple("tzyx"[-len(shape) :])
    corner = Corner(squares(shape), axis_labels=axes)
    document = corner.document
    corner.erase((slice(2, 5), slice(2, 4)))
    document.decide("Accept", {2: ObjectState("accepted", True), 3: ObjectState("skipped")})
    document.decide("Class", {4: ObjectState("accepted", True, "mitosis")})
    with qtbot.waitSignal(corner.reviewed.changed):
        corner.box.plane.click()
        corner.reviewed.layer.data[..., :7] = 0

    data, options = saved(corner, tmp_path / "cells.tif")  # nothing waited for the hand to rest
    again = Corner(data, **options)
    np.testing.assert_array_equal(again.labels.data, corner.labels.data)
    assert again.document.states == document.states
    assert again.document.states[1] == ObjectState("edited", True)
    np.testing.assert_array_equal(again.document.erased, document.erased)
    assert again.document.erased.size == 6
    np.testing.assert_array_equal(again.reviewed.mask(), corner.reviewed.mask())
    assert again.document.decided().handled
    assert len(again.document.history) == 0
    np.testing.assert_array_equal(
        again.document.decided().locks().positions, document.decided().locks().positions
    )


def test_napari_itself_saves_what_was_decided_last(qtbot, tmp_path):
    corner = Corner(squares((20, 20)))
    corner.document.decide("Accept", {2: ObjectState("accepted", True)})
    corner.labels.metadata["mine"] = 5
    contributions.write_labels(str(tmp_path / "a.tif"), *corner.labels.as_layer_data_tuple()[:2])
    told = read_labels(tmp_path / "a.tif").provenance["corrections"]
    assert told["states"]["id"] == [2]
    corner.document.undo()
    contributions.write_labels(str(tmp_path / "a.tif"), *corner.labels.as_layer_data_tuple()[:2])
    assert "corrections" not in read_labels(tmp_path / "a.tif").provenance
    assert corner.labels.metadata["mine"] == 5


def test_layers_that_lie_otherwise_come_back_in_the_order_of_files(qtbot, tmp_path):
    data = np.ascontiguousarray(squares((3, 20, 24)).transpose(1, 0, 2))  # Y, Z, X
    corner = Corner(data, metadata={KEY: {"axes": "YZX"}})
    corner.viewer.dims.order = (1, 0, 2)
    assert corner.document.labels.shape == (3, 20, 24)
    corner.document.decide("Accept", {2: ObjectState("accepted", True)})
    corner.viewer.dims.set_point(1, 1)
    corner.erase((slice(2, 3), slice(2, 4)))
    corner.box.plane.click()
    assert corner.reviewed.layer.data[:, 1].all()
    again, options = saved(corner, tmp_path / "cells.tif")
    assert again.shape == (3, 20, 24)
    back = Corner(again, **options)
    assert back.bench.binding.axes == "ZYX"
    np.testing.assert_array_equal(back.document.labels, corner.document.labels)
    np.testing.assert_array_equal(back.document.erased, corner.document.erased)
    np.testing.assert_array_equal(back.reviewed.mask(), corner.reviewed.mask())


def test_labels_of_other_programs_stay_as_they_are(qtbot, tmp_path):
    tifffile.imwrite(tmp_path / "theirs.tif", squares((20, 20)).astype(np.uint16))
    labels = read_labels(tmp_path / "theirs.tif")
    corner = Corner(labels.data)
    assert corner.labels.metadata == {}
    assert corner.labels.features.empty
    assert not corner.document.handled
    desk_of(corner.viewer).note(corner.labels.data)
    assert corner.labels.metadata == {}
    assert corner.labels.features.empty


@pytest.mark.parametrize("spoil", ["text", "shape", "mask"])
def test_damaged_decisions_are_left_out_with_a_word(qtbot, tmp_path, spoil, monkeypatch):
    from napari_cellseg.gui.correct import decisions

    said = []
    monkeypatch.setattr(decisions, "show_warning", said.append)
    told = {
        "text": {"states": "?"},
        "shape": {"shape": [5, 5], "states": {}},
        "mask": {"shape": [20, 20], "reviewed": "no mask"},
    }[spoil]
    corner = Corner(squares((20, 20)), metadata={KEY: {"model": "m", "corrections": told}})
    assert len(said) == 1
    assert not corner.document.handled
    assert corner.reviewed.mask() is None
    assert corner.labels.metadata == {KEY: {"model": "m"}}


def test_the_table_follows_when_the_hand_rests(qtbot):
    corner = Corner(squares((20, 20)), features={"index": [1, 3], "risk": [0.5, 0.25]})
    events = []
    corner.labels.events.features.connect(events.append)
    for label in (2, 3, 4):
        corner.document.decide("Accept", {label: ObjectState("accepted", True)})
    corner.document.decide("Class", {3: ObjectState("accepted", True, "mitosis")})
    assert not events
    qtbot.waitUntil(lambda: "decision" in corner.labels.features, timeout=5000)
    table = corner.labels.features.set_index("index")
    assert table.risk[1] == 0.5
    assert table.risk[3] == 0.25
    assert np.isnan(table.risk[2])
    assert table.decision.to_dict() == {1: "", 2: "accepted", 3: "accepted", 4: "accepted"}
    assert table.locked.to_dict() == {1: False, 2: True, 3: True, 4: True}
    assert table["class"].to_dict() == {1: "", 2: "", 3: "mitosis", 4: ""}
    assert json.dumps(corner.labels.metadata[KEY]["corrections"])
    for _ in range(4):
        corner.document.undo()
    desk_of(corner.viewer).note(corner.labels.data)
    assert list(corner.labels.features) == ["index", "risk"]
    assert "corrections" not in corner.labels.metadata[KEY]
    assert [one["name"] for one in corner.labels.metadata[KEY]["history"]] == (
        ["Accept"] * 3 + ["Class"] * 2 + ["Accept"] * 3
    )


def test_a_class_by_hand_gives_way_to_the_predicted_one(qtbot):
    table = {"index": [1, 2, 3, 4], "class": ["a", "b", "a", "b"]}
    corner = Corner(squares((20, 20)), features=table)
    desk = desk_of(corner.viewer)
    corner.document.decide(
        "Class", {1: ObjectState(cell_class="b"), 2: ObjectState(cell_class="b")}
    )
    desk.note(corner.labels.data)
    assert corner.labels.features.set_index("index")["class"].tolist() == ["b", "b", "a", "b"]
    corner.document.undo()
    desk.note(corner.labels.data)
    assert corner.labels.features.set_index("index")["class"].tolist() == ["a", "b", "a", "b"]
    assert list(corner.labels.features) == ["index", "class"]


def test_objects_that_are_gone_leave_the_table(qtbot):
    corner = Corner(squares((20, 20)))
    corner.document.decide("Accept", {i: ObjectState("accepted", True) for i in (1, 2)})
    desk = desk_of(corner.viewer)
    desk.note(corner.labels.data)
    corner.erase((slice(2, 8), slice(2, 8)))
    desk.note(corner.labels.data)
    assert corner.labels.features["index"].tolist() == [2]


def test_what_made_the_labels_can_be_told_anew(qtbot):
    corner = Corner(squares((20, 20)))
    corner.document.decide("Accept", {2: ObjectState("accepted", True)})
    desk_of(corner.viewer).note(corner.labels.data)
    layers.describe(corner.labels, {"model": "other"})
    own = corner.labels.metadata[KEY]
    assert own["model"] == "other"
    assert own["corrections"]["states"]["id"] == [2]


def test_a_layer_that_was_taken_out_knows_when_it_comes_back(qtbot):
    corner = Corner(squares((20, 20)))
    corner.document.decide("Accept", {2: ObjectState("accepted", True)})
    corner.box.plane.click()
    corner.viewer.layers.remove(corner.labels)
    assert corner.bench.binding is None
    qtbot.waitUntil(lambda: len(corner.viewer.layers) == 0, timeout=2000)
    corner.viewer.add_layer(corner.labels)
    corner.bench.take(corner.labels)
    assert corner.document.states[2].locked
    assert corner.reviewed.mask().all()


def test_a_desk_keeps_no_viewer_in_memory(qtbot):
    labels = Labels(squares((20, 20)))
    gc.collect()
    layers_of_viewer = LayerList()
    desk = Desk(layers_of_viewer)
    binding = desk.bind(labels)
    seen = weakref.ref(layers_of_viewer)
    del layers_of_viewer
    gc.collect()
    assert seen() is None
    desk.note(binding.layer.data)


def test_columns_are_put_beside_those_of_others(qtbot):
    viewer = ViewerModel()
    layer = viewer.add_labels(squares((20, 20)))
    assert features.put_columns(layer, {"index": np.array([4, 2]), "n": np.array([8, 6])})
    assert layer.features["index"].tolist() == [2, 4]
    assert layer.features["n"].tolist() == [6, 8]
    features.put_columns(layer, {"index": np.array([1]), "ok": np.array([True])})
    table = layer.features.set_index("index")
    assert table.ok.to_dict() == {2: False, 4: False, 1: True}
    assert table.n[4] == 8
    assert np.isnan(table.n[1])
    features.drop_columns(layer, ("n",))
    assert set(layer.features) == {"index", "ok"}
    features.drop_columns(layer, ("ok", "missing"))
    assert layer.features.empty
    layer.features = {"area": [0.0, 5.0, 6.0]}  # rows are the objects 0, 1 and 2
    features.put_columns(layer, {"index": np.array([2]), "ok": np.array([True])})
    assert layer.features.ok.tolist() == [False, False, True]
    layer.features = {"index": [1, 1]}
    assert not features.put_columns(layer, {"index": np.array([1]), "ok": np.array([True])})
    assert list(layer.features) == ["index"]


def test_the_writer_takes_layers_that_nobody_corrects(tmp_path):
    contributions.write_labels(str(tmp_path / "a.tif"), squares((20, 20)), {"name": "a"})
    labels = read_labels(tmp_path / "a.tif")
    write(labels, tmp_path / "b.tif")
    np.testing.assert_array_equal(labels.data, squares((20, 20)))
