"""Locked objects are outlined, and the outlines keep up with every step."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_cellseg.core.editing.edit import changes
from napari_cellseg.gui.boxes.outlines import OutlinesBox
from napari_cellseg.gui.correct import outlines as module
from napari_cellseg.gui.correct.outlines import Outlines
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.layers import labels_layers
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.outlines import draw, kinds_of
from napari_cellseg.session.corrections.states import ObjectState

ACCEPTED = ObjectState("accepted", True)


class Corner:
    """A viewer with labels on the workbench and the outlines over them."""

    def __init__(self, qtbot, data, **options):
        self.qtbot = qtbot
        self.viewer = ViewerModel()
        self.labels = self.viewer.add_labels(data, name="cells", **options)
        self.bench = Workbench(self.viewer)
        self.box = OutlinesBox()
        self.outlines = Outlines(self.bench, JobRunner(), self.box)
        self.bench.take(self.labels)

    @property
    def document(self):
        return self.bench.binding.document

    def settle(self):
        self.qtbot.waitUntil(lambda: not self.outlines.busy, timeout=5000)

    def accept(self, *labels):
        self.document.decide("Accept", dict.fromkeys(labels, ACCEPTED))
        self.settle()

    def put(self, box, value):
        plane = self.document.plane(self.bench.index())
        self.bench.edit("Draw", lambda: changes(plane, box, np.full_like(plane[box], value)))
        self.settle()

    def check(self):
        """The picture is what drawing everything anew would give."""
        kinds = kinds_of(self.document.states)
        if not kinds:
            assert self.outlines.layer is None
            return
        expected = draw(self.document.plane(self.bench.index()), kinds)
        found = np.asarray(self.outlines.layer.data).reshape(expected.shape)
        np.testing.assert_array_equal(found, expected)


def squares(shape=(40, 40)):
    labels = np.zeros(shape, np.int32)
    for k in range(16):
        y, x = 2 + k // 4 * 9, 2 + k % 4 * 9
        labels[..., y : y + 7, x : x + 7] = k + 1
    return labels


@pytest.fixture
def corner(qtbot):
    corner = Corner(qtbot, squares())
    yield corner
    corner.settle()


def test_nothing_is_made_while_nothing_is_locked(corner):
    corner.document.decide("Skip", {1: ObjectState("skipped")})
    corner.settle()
    assert list(corner.viewer.layers) == [corner.labels]


def test_accepted_is_solid_and_edited_is_dashed(corner):
    corner.accept(1)
    layer = corner.outlines.layer
    assert corner.viewer.layers.index(layer) == 1
    assert corner.viewer.layers.selection.active is corner.labels
    assert labels_layers(corner.viewer) == [corner.labels]
    assert not layer.editable
    assert (layer.data == 1).sum() == 24
    corner.put((slice(2, 4), slice(11, 18)), 0)
    assert corner.outlines.layer is layer
    assert 0 < (layer.data == 2).sum() < 20
    assert (layer.data[layer.data > 0] > 0).all()
    corner.check()
    corner.document.undo()
    assert not (layer.data == 2).any()
    corner.document.undo()
    assert corner.outlines.layer is None
    assert list(corner.viewer.layers) == [corner.labels]


@pytest.mark.parametrize("at_once", [0, 200, 10**6])
def test_the_picture_keeps_up(qtbot, monkeypatch, at_once):
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    corner = Corner(qtbot, squares())
    rng = np.random.default_rng(at_once)
    for _ in range(25):
        choice = rng.integers(5)
        if choice == 0:
            corner.accept(*rng.integers(1, 17, 2).tolist())
        elif choice == 1:
            corner.document.decide("Unlock", {int(rng.integers(1, 17)): ObjectState()})
        elif choice == 2:
            corner.document.undo()
        elif choice == 3:
            corner.document.redo()
        else:
            y, x = rng.integers(0, 35, 2)
            corner.put((slice(y, y + 5), slice(x, x + 5)), int(rng.integers(0, 18)))
        corner.settle()
        corner.check()


def test_napari_s_brush_is_followed(corner):
    corner.accept(1, 2)
    corner.labels.brush_size = 3
    corner.labels.paint((5, 9), 1)
    corner.settle()
    corner.check()
    assert (corner.outlines.layer.data == 2).any()


def test_predictions_that_leave_locked_objects_alone_cost_nothing(corner, monkeypatch):
    corner.accept(1)
    new = corner.document.labels.copy()
    new[new == 16] = 0
    drawn = []
    monkeypatch.setattr(module, "draw", lambda *_: drawn.append(1))
    before = corner.document.labels.copy()
    pixels = Delta.between(before, new)
    corner.bench.binding.show("Threshold", new, new.copy(), pixels, None, False)
    corner.settle()
    assert not drawn
    assert corner.outlines.layer.data.sum() == 24


def test_stacks_show_the_outlines_of_the_shown_plane(qtbot):
    corner = Corner(qtbot, squares((2, 3, 40, 40)), scale=(1, 4, 1, 1))
    corner.viewer.dims.set_point(0, 1)
    corner.viewer.dims.set_point(1, 8)
    corner.accept(3)
    layer = corner.outlines.layer
    assert layer.data.shape == (1, 1, 40, 40)
    np.testing.assert_allclose(layer.translate, (1, 8, 0, 0))
    corner.put((slice(20, 27), slice(20, 27)), 0)
    corner.check()
    corner.viewer.dims.set_point(1, 4)
    corner.settle()
    np.testing.assert_allclose(corner.outlines.layer.translate, (1, 4, 0, 0))
    corner.check()
    corner.viewer.dims.ndisplay = 3
    assert not corner.outlines.layer.visible
    corner.viewer.dims.ndisplay = 2
    corner.settle()
    assert corner.outlines.layer.visible
    corner.labels.scale = (1, 4, 2, 2)
    np.testing.assert_allclose(corner.outlines.layer.scale, (1, 4, 2, 2))


def test_axes_in_another_order(qtbot):
    data = np.ascontiguousarray(squares((3, 40, 44)).transpose(2, 0, 1))  # X, Z, Y
    corner = Corner(qtbot, data, metadata={"napari-cellseg": {"axes": "XZY"}})
    corner.viewer.dims.order = (1, 0, 2)
    corner.viewer.dims.set_point(1, 2)
    corner.accept(1, 6)
    corner.put((slice(2, 5), slice(11, 13)), 5)
    picture = corner.outlines.layer.data[:, 0].T
    expected = draw(corner.document.plane((2,)), kinds_of(corner.document.states))
    np.testing.assert_array_equal(picture, expected)
    np.testing.assert_allclose(corner.outlines.layer.translate, (0, 2, 0))


def test_on_and_off(corner):
    corner.accept(1)
    corner.box.shown.click()
    assert list(corner.viewer.layers) == [corner.labels]
    corner.accept(2)
    corner.put((slice(2, 4), slice(11, 18)), 0)
    assert corner.outlines.layer is None
    corner.box.shown.click()
    corner.settle()
    corner.check()
    corner.viewer.layers.remove(corner.outlines.layer)  # by hand: the user wants it off
    assert not corner.box.shown.isChecked()
    corner.accept(3)
    assert corner.outlines.layer is None
    corner.outlines.switch(True)
    corner.settle()
    corner.outlines.shut_down()
    assert list(corner.viewer.layers) == [corner.labels]


def test_hidden_labels_hide_their_outlines(corner):
    corner.accept(1)
    corner.labels.visible = False
    assert not corner.outlines.layer.visible
    corner.put((slice(2, 4), slice(2, 9)), 0)
    corner.labels.visible = True
    assert corner.outlines.layer.visible
    corner.check()


def test_other_labels(qtbot, corner):
    corner.accept(1)
    other = corner.viewer.add_labels(squares(), name="other")
    corner.bench.take(other)
    corner.settle()
    assert corner.outlines.layer is None
    corner.bench.take(corner.labels)
    corner.settle()
    corner.check()
    corner.labels.data = squares((50, 50))[:45]
    corner.settle()
    assert corner.outlines.layer is None
    corner.accept(2)
    corner.check()
    corner.viewer.layers.remove(corner.labels)
    corner.settle()
    assert list(corner.viewer.layers) == [other]
