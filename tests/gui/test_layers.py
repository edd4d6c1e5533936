"""Layers become images and labels become layers, each in its place."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.layers._source import layer_source

from napari_cellseg.core.errors import ImageError
from napari_cellseg.gui import conversion, geometry, layers
from napari_cellseg.gui.segment.preview import end_preview, numbers_to_preview, show_preview


def add(viewer, layer, axes, box=None):
    box = box or geometry.full_box(layer, axes)
    shape = tuple(box[axis].stop - box[axis].start for axis in "TZYX" if axis in box)
    return layers.add_result(viewer, layer, axes, box, np.ones(shape, np.int32), {"a": 1})


def test_result_takes_the_place_of_its_image():
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((4, 20, 30)),
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        rotate=(0, 0, 20),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
        name="field",
    )
    result = add(viewer, image, "ZYX")
    assert result.name == "field cells"
    assert result.data.dtype == np.int32
    assert result.units == image.units
    assert result.axis_labels == image.axis_labels
    assert result.metadata["napari-cellseg"] == {"a": 1}
    for corner in ((0, 0, 0), (3, 19, 29), (1, 5, 7)):
        np.testing.assert_allclose(result.data_to_world(corner), image.data_to_world(corner))


@pytest.mark.parametrize("options", [{}, {"rotate": 30, "shear": [0.2]}, {"affine": np.array(
    [[1, 0.2, 5], [0, 2, 1], [0, 0, 1]])}])  # fmt: skip
def test_a_part_lies_where_it_was_cut_out(options):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((20, 30)), scale=(2, 3), translate=(5, 7), **options)
    result = add(viewer, image, "YX", {"Y": slice(4, 14), "X": slice(6, 26)})
    assert result.data.shape == (10, 20)
    np.testing.assert_allclose(result.data_to_world((0, 0)), image.data_to_world((4, 6)))
    np.testing.assert_allclose(result.data_to_world((9, 3)), image.data_to_world((13, 9)))


@given(st.permutations("TZCYX"))
def test_layer_order_and_label_order_are_inverse(axes):
    axes = "".join(axes)
    labels = np.arange(2 * 3 * 4 * 5, dtype=np.int32).reshape(2, 3, 4, 5)
    turned = conversion.in_layer_order(labels, axes)
    sizes = {"T": 2, "Z": 3, "C": 1, "Y": 4, "X": 5}
    kept = axes.removeprefix("C")
    assert turned.shape == tuple(sizes[axis] for axis in kept)
    back = conversion.in_label_order(turned, kept)
    np.testing.assert_array_equal(back, labels)
    assert np.shares_memory(back, labels)


def test_channels_between_other_axes_are_covered_by_the_labels():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 3, 20, 30)), scale=(2, 1, 1, 1))
    result = add(viewer, image, "ZCYX")
    assert result.data.shape == (4, 1, 20, 30)
    for channel in range(3):
        position = result.world_to_data(image.data_to_world((2, channel, 5, 6)))
        np.testing.assert_array_equal(np.round(position), (2, 0, 5, 6))


def test_leading_channels_and_colours_are_left_out():
    viewer = ViewerModel()
    many = viewer.add_image(np.zeros((3, 20, 30)))
    assert add(viewer, many, "CYX").data.shape == (20, 30)
    colour = viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True)
    assert add(viewer, colour, "YXC").data.shape == (20, 30)


def test_image_of_a_layer_has_pixel_size_in_micrometres():
    layer = Image(np.zeros((4, 20, 30)), scale=(1, 500, 0.5), units=("um", "nm", "um"))
    image = conversion.to_image(layer, "ZYX")
    assert image.pixel_size == pytest.approx((0.5, 0.5))
    assert image.z_step == pytest.approx(1)
    assert conversion.to_image(Image(np.zeros((9, 9)), scale=(2, 2)), "YX").pixel_size is None


def test_image_of_a_part_and_of_colours():
    layer = Image(np.arange(4 * 20 * 30).reshape(4, 20, 30))
    part = conversion.to_image(layer, "ZYX", {"Z": slice(2, 3)})
    assert part.shape == (1, 20, 30)
    assert part.data[0, 0, 0] == 1200
    rgba = Image(np.zeros((20, 30, 4), np.uint8), rgb=True)
    assert conversion.to_image(rgba, "YXC").shape == (20, 30, 3)
    assert conversion.to_image(rgba, "YXC").rgb


def test_a_pyramid_is_read_at_full_resolution():
    layer = Image([np.zeros((64, 64)), np.zeros((32, 32))], multiscale=True)
    assert conversion.to_image(layer, "YX").shape == (64, 64)
    assert geometry.full_box(layer, "YX") == {"Y": slice(0, 64), "X": slice(0, 64)}


def test_replacing_data_leaves_no_undo_step_of_the_old_one():
    layer = Labels(np.zeros((20, 30), np.int32))
    layer.paint((5, 5), 3)
    new = np.full((20, 30), 7, np.int32)
    layers.replace_data(layer, new.copy(), "YX")
    layer.undo()
    np.testing.assert_array_equal(layer.data, new)
    layer.paint((5, 5), 3)
    layer.undo()
    np.testing.assert_array_equal(layer.data, new)


def test_labels_for_the_writer_follow_axes_units_and_metadata():
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((4, 3, 20, 30)), scale=(2, 1, 0.5, 0.5), units=("um", "pixel", "um", "um")
    )
    result = add(viewer, image, "ZCYX")
    result.metadata["napari-cellseg"]["axes"] = "ZCYX"
    labels = conversion.to_labels(*result.as_layer_data_tuple()[:2])
    assert labels.axes == "ZYX"
    assert labels.data.shape == (4, 20, 30)
    assert labels.pixel_size == pytest.approx((0.5, 0.5))
    assert labels.z_step == pytest.approx(2)
    assert labels.provenance["a"] == 1
    with pytest.raises(ImageError):
        conversion.to_labels(np.zeros((4, 4), np.float32), {})


def test_region_is_the_box_of_what_was_drawn():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((40, 60)), scale=(2, 2))
    shapes = viewer.add_shapes(
        [[[10, 10], [10, 40], [30, 40], [30, 10]]], shape_type="rectangle", scale=(1, 1)
    )
    box, mask = geometry.region(shapes, image, "YX", viewer.dims.point)
    assert box == {"Y": slice(5, 16), "X": slice(5, 21)}  # every pixel that it touches
    assert mask is None
    shapes.data = []
    shapes.add_polygons(np.array([[0, 0], [0, 60], [40, 0]]))
    box, mask = geometry.region(shapes, image, "YX", viewer.dims.point)
    assert mask.shape == (box["Y"].stop - box["Y"].start, box["X"].stop - box["X"].start)
    assert 0.4 < mask.mean() < 0.6
    assert mask[1, 1]
    assert not mask[-1, -1]


def test_region_beside_the_image_is_none():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((40, 60)))
    shapes = viewer.add_shapes([[[-30, -30], [-30, -10], [-10, -10], [-10, -30]]])
    assert geometry.region(shapes, image, "YX", viewer.dims.point) is None


def test_slice_is_the_plane_on_show():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((5, 20, 30)), scale=(2, 1, 1))
    viewer.dims.set_point(0, 6)
    assert geometry.slice_box(image, "ZYX", viewer.dims.point)["Z"] == slice(3, 4)


def test_showing_something_in_passing_leaves_the_selection_alone():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((20, 30)))
    result = add(viewer, image, "YX")
    box = {"Y": slice(2, 12), "X": slice(3, 13)}
    small = numbers_to_preview(np.full((10, 10), 70_000, np.int32))
    preview = show_preview(viewer, result, "YX", box, small, None)
    assert viewer.layers.selection.active is result
    assert not result.visible
    assert preview.data.dtype == np.uint16
    assert (preview.data > 0).all()
    np.testing.assert_allclose(preview.data_to_world((0, 0)), result.data_to_world((2, 3)))
    moved = {"Y": slice(4, 14), "X": slice(3, 13)}
    again = show_preview(viewer, result, "YX", moved, small, preview)
    assert again is preview
    np.testing.assert_allclose(again.data_to_world((0, 0)), result.data_to_world((4, 3)))
    end_preview(viewer, preview, result)
    assert preview not in viewer.layers
    assert result.visible


@pytest.fixture
def opened(tmp_path):
    """Open a TIFF as napari's own reader does: pixels and path, but no names of axes."""
    viewer = ViewerModel()

    def open_tiff(shape, axes, name="movie.ome.tif", **options):
        path = tmp_path / name
        metadata = {"axes": axes} if axes else None
        tifffile.imwrite(path, np.zeros(shape, np.uint8), metadata=metadata, **options)
        with layer_source(path=str(path)):
            return viewer.add_image(np.zeros(shape, np.uint8))

    return open_tiff


def test_axes_that_napari_does_not_pass_on_are_read_from_the_file(opened):
    guess = conversion.guess_layer_axes(opened((7, 20, 30), "TYX"))
    assert (guess.axes, guess.ambiguous) == ("TYX", False)


def test_imagej_files_name_their_axes_too(opened):
    layer = opened((5, 2, 20, 30), "TCYX", "movie.tif", imagej=True)
    assert conversion.guess_layer_axes(layer).axes == "TCYX"


def test_names_on_the_layer_come_before_those_in_the_file(opened):
    layer = opened((7, 20, 30), "TYX")
    layer.axis_labels = ("z", "y", "x")
    assert conversion.guess_layer_axes(layer).axes == "ZYX"


@pytest.mark.parametrize("damage", ["silent", "gone", "torn", "reshaped"])
def test_a_file_that_does_not_help_leaves_the_guess(opened, damage):
    layer = opened((7, 20, 30), None if damage == "silent" else "TYX", "movie.tif")
    path = Path(layer.source.path)
    if damage == "gone":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:6])
    elif damage == "reshaped":
        layer.data = np.zeros((8, 20, 30), np.uint8)
    guess = conversion.guess_layer_axes(layer)
    assert (guess.axes, guess.ambiguous) == ("ZYX", True)


@pytest.mark.parametrize(
    ("shape", "names", "axes"),
    [
        ((5, 6), None, "YX"),
        ((3, 5, 6), None, "ZYX"),
        ((2, 3, 40, 40), None, "TZYX"),
        ((3, 5, 6), ("t", "y", "x"), "TYX"),
    ],
)
def test_axes_of_labels_are_each_there_once(shape, names, axes):
    assert conversion.guess_label_axes(Labels(np.zeros(shape, int), axis_labels=names)) == axes
