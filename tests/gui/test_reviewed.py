"""The reviewed area: marked by buttons, rectangle and brush, undone, shown and left alone."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_cellseg.gui import overlays
from napari_cellseg.gui.boxes.reviewed import ReviewedBox
from napari_cellseg.gui.correct.reviewed import Reviewed
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.gui.layers import labels_layers


class Corner:
    """A viewer with labels on the workbench and their reviewed area."""

    def __init__(self, viewer, shape, **options):
        self.viewer = viewer
        self.labels = viewer.add_labels(np.ones(shape, np.int32), name="cells", **options)
        self.bench = Workbench(viewer)
        self.told = []
        self.bench.told.connect(self.told.append)
        self.box = ReviewedBox()
        self.reviewed = Reviewed(self.bench, JobRunner(), self.box)
        self.changes = []
        self.reviewed.changed.connect(lambda: self.changes.append(1))
        self.bench.take(self.labels)

    @property
    def mask(self):
        return self.reviewed.mask()

    def look_at(self, y, x):
        """Pretend that the canvas shows these rows and columns, as napari would tell."""
        corners = np.zeros((2, self.labels.ndim), int)
        corners[:, -2] = y.start, y.stop - 1
        corners[:, -1] = x.start, x.stop - 1
        self.labels.corner_pixels = corners


@pytest.fixture
def corner(qtbot):
    corner = Corner(ViewerModel(), (3, 20, 30), scale=(2, 0.5, 0.5), translate=(0, 5, 7))
    corner.viewer.dims.set_point(0, 0)
    return corner


def test_nothing_is_made_before_something_is_marked(corner):
    assert corner.mask is None
    assert corner.reviewed.layer is None
    assert list(corner.viewer.layers) == [corner.labels]
    assert not corner.box.clear.isEnabled()
    assert "Nothing" in corner.box.note.text()


def test_view_and_slice(qtbot, corner):
    corner.viewer.dims.set_point(0, 2)  # the second plane
    corner.look_at(slice(4, 9), slice(10, 20))
    with qtbot.waitSignal(corner.reviewed.changed):
        corner.box.view.click()
    expected = np.zeros((3, 20, 30), bool)
    expected[1, 4:9, 10:20] = True
    np.testing.assert_array_equal(corner.mask, expected)
    assert "2.78 %" in corner.box.note.text()
    corner.viewer.dims.set_point(0, 4)
    with qtbot.waitSignal(corner.reviewed.changed):
        corner.box.plane.click()
    expected[2] = True
    np.testing.assert_array_equal(corner.mask, expected)
    layer = corner.reviewed.layer
    np.testing.assert_allclose(
        layer.data_to_world((1, 3, 4)), corner.labels.data_to_world((1, 3, 4))
    )
    assert corner.viewer.layers.index(layer) == 1
    assert labels_layers(corner.viewer) == [corner.labels]
    corner.mask[:] = False  # a copy
    assert corner.mask.any()


def test_undo_and_redo_are_those_of_the_layer(qtbot, corner):
    corner.look_at(slice(4, 9), slice(10, 20))
    corner.box.view.click()
    corner.look_at(slice(6, 12), slice(0, 30))
    corner.box.view.click()
    qtbot.waitUntil(lambda: len(corner.changes) == 1)
    both = corner.mask
    with qtbot.waitSignal(corner.reviewed.changed):
        corner.box.clear.click()
    assert corner.mask is None
    with qtbot.waitSignal(corner.reviewed.changed):
        corner.reviewed.layer.undo()
    np.testing.assert_array_equal(corner.mask, both)
    corner.reviewed.layer.undo()
    assert corner.mask.sum() == 50
    corner.reviewed.layer.redo()
    np.testing.assert_array_equal(corner.mask, both)
    assert len(corner.bench.binding.document.history) == 0


def test_paint_with_the_brush(qtbot, corner):
    corner.box.paint.click()
    layer = corner.reviewed.layer
    assert corner.viewer.layers.selection.active is layer
    assert layer.mode == "paint"
    assert layer.selected_label == 1
    assert corner.bench.layer is corner.labels
    layer.brush_size = 5
    with qtbot.waitSignal(corner.reviewed.changed):
        layer.paint((0, 10, 10), 1)
    assert 15 < corner.mask.sum() < 26
    with qtbot.waitSignal(corner.reviewed.changed):
        layer.undo()
    assert corner.mask is None


def test_rectangle(qtbot, corner):
    corner.viewer.dims.set_point(0, 2)
    corner.box.rectangle.click()
    shapes = corner.viewer.layers.selection.active
    assert shapes.mode == "add_rectangle"
    assert corner.box.rectangle.isChecked()
    corners = [[1, 3, 4], [1, 3, 12], [1, 8, 12], [1, 8, 4]]
    with qtbot.waitSignal(corner.reviewed.changed):
        shapes.add_rectangles(np.array(corners, float))
    expected = np.zeros((3, 20, 30), bool)
    expected[1, 3:9, 4:13] = True
    np.testing.assert_array_equal(corner.mask, expected)
    assert shapes not in corner.viewer.layers
    assert corner.viewer.layers.selection.active is corner.labels
    assert not corner.box.rectangle.isChecked()


def test_a_turned_rectangle_adds_only_what_it_covers(qtbot, corner):
    corner.look_at(slice(0, 3), slice(0, 3))
    corner.box.view.click()
    corner.box.rectangle.click()
    shapes = corner.viewer.layers.selection.active
    shapes.add_polygons(np.array([[0, 0, 10], [0, 10, 0], [0, 19, 10], [0, 10, 19]], float))
    qtbot.waitUntil(lambda: corner.mask[0, 10, 10])
    assert corner.mask[0, :3, :3].all()
    assert not corner.mask[0, 17:, :5].any()
    assert not corner.mask[1:].any()


def test_a_rectangle_beside_the_labels_is_told(qtbot, corner):
    corner.told.clear()
    corner.box.rectangle.click()
    shapes = corner.viewer.layers.selection.active
    shapes.add_rectangles(np.array([[0, 30, 40], [0, 30, 45], [0, 40, 45], [0, 40, 40]], float))
    qtbot.waitUntil(lambda: bool(corner.told))
    assert "beside" in corner.told[-1]
    assert corner.mask is None


def test_drawing_can_be_given_up(qtbot, corner):
    corner.box.rectangle.click()
    corner.box.rectangle.click()
    assert not corner.box.rectangle.isChecked()
    assert corner.viewer.layers.selection.active is corner.labels
    corner.box.rectangle.click()
    corner.viewer.layers.remove(corner.viewer.layers.selection.active)
    assert not corner.box.rectangle.isChecked()


def test_planes_are_needed(qtbot, corner):
    corner.viewer.dims.ndisplay = 3
    for button in (corner.box.view, corner.box.plane, corner.box.paint):
        button.click()
    assert "2D" in corner.told[-1]
    assert corner.reviewed.layer is None
    corner.viewer.dims.ndisplay = 2
    corner.viewer.dims.order = (1, 0, 2)
    corner.box.plane.click()
    assert corner.reviewed.layer is None


def test_the_area_stays_with_its_labels(qtbot, corner):
    corner.box.plane.click()
    other = corner.viewer.add_labels(np.zeros((3, 20, 30), np.int32), name="other")
    corner.bench.take(other)
    assert corner.mask is None
    corner.box.plane.click()
    corner.box.clear.click()
    corner.bench.take(corner.labels)
    assert corner.mask[0].all()
    assert not corner.mask[1:].any()
    layer = corner.reviewed.layer
    corner.labels.scale = (3, 1, 1)
    np.testing.assert_allclose(
        layer.data_to_world((1, 3, 4)), corner.labels.data_to_world((1, 3, 4))
    )
    corner.viewer.layers.remove(layer)
    assert corner.mask is None
    assert corner.reviewed.layer is None
    corner.box.plane.click()
    assert corner.mask[0].all()


def test_labels_of_another_shape_lose_their_area(qtbot, corner):
    corner.box.plane.click()
    corner.labels.data = np.zeros((3, 10, 30), np.int32)
    assert corner.mask is None
    assert list(corner.viewer.layers) == [corner.labels]
    corner.box.plane.click()
    assert corner.mask.shape == (3, 10, 30)


def test_large_planes_are_tinted(qtbot, monkeypatch):
    monkeypatch.setattr(overlays, "_OUTLINED", 100)
    corner = Corner(ViewerModel(), (20, 30))
    corner.box.plane.click()
    assert corner.reviewed.layer.contour == 0
    assert corner.reviewed.layer.opacity < 0.5
