"""Areas, centres and moments of objects, against scikit-image and against plain counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.review.shapes import measure_shapes

small_labels = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4)
)


def disc(radius: float, size: int = 61, stretch: float = 1.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return (((y * stretch) ** 2 + x**2) <= radius**2).astype(np.int32)


@settings(deadline=None, max_examples=60)
@given(small_labels)
def test_sums_agree_with_regionprops(labels):
    shapes = measure_shapes(labels)
    regions = regionprops(labels)
    assert shapes.ids.tolist() == [region.label for region in regions]
    values = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    means = shapes.means(values)
    for k, region in enumerate(regions):
        assert shapes.area[k] == region.area
        np.testing.assert_allclose((shapes.y[k], shapes.x[k]), region.centroid)
        np.testing.assert_allclose(means[k], values[labels == region.label].mean(), rtol=1e-6)
    inside = np.append(0, shapes.ids)[shapes.place]
    np.testing.assert_array_equal(inside, labels)


def test_an_ellipse_has_its_axes_and_spread_1():
    shapes = measure_shapes(disc(25, stretch=2.0))
    assert shapes.elongation[0] == pytest.approx(2.0, rel=0.03)
    assert shapes.spread[0] == pytest.approx(1.0, abs=0.005)


def test_squares_and_single_pixels_have_the_spread_of_a_square():
    labels = np.zeros((12, 12), np.int32)
    labels[0, 0] = 1
    labels[4:10, 3:9] = 2
    shapes = measure_shapes(labels)
    np.testing.assert_allclose(shapes.spread, np.pi / 3)
    np.testing.assert_allclose(shapes.elongation, 1)


def test_bent_and_merged_objects_spread_more():
    two = disc(8)
    two[:, 14:] |= disc(8)[:, :-14]
    ring = disc(20) - disc(14)
    assert measure_shapes(two).spread[0] > 1.03
    assert measure_shapes(ring).spread[0] > 1.5


def test_far_from_the_origin_nothing_changes():
    small = np.zeros((3, 200_000), np.int32)
    small[:, -4:] = 7
    shapes = measure_shapes(small)
    np.testing.assert_allclose(shapes.elongation, 4 / 3)


def test_border_counts_pixels_on_the_rim_once():
    labels = np.zeros((6, 7), np.int32)
    labels[0:2, 0:2] = 1
    labels[3, 3] = 2
    shapes = measure_shapes(labels)
    np.testing.assert_allclose(shapes.border, [3 / 2, 0])
    for thin in (np.array([[1, 1, 2, 2, 2]]), np.array([[1], [1], [2], [2], [2]])):
        np.testing.assert_allclose(measure_shapes(thin).border, [2 / 2**0.5, 3 / 3**0.5])


def test_any_number_is_an_id_and_no_objects_are_fine():
    labels = np.array([[0, 2**31 - 1], [5, 2**31 - 1]], np.int32)
    assert measure_shapes(labels).ids.tolist() == [5, 2**31 - 1]
    empty = measure_shapes(np.zeros((3, 4), np.int32))
    assert len(empty.ids) == len(empty.area) == len(empty.means(np.ones((3, 4)))) == 0


@pytest.mark.parametrize("labels", [np.zeros((2, 3, 4), np.int32), np.zeros((3, 4), np.float32)])
def test_what_is_no_plane_of_labels_is_refused(labels):
    with pytest.raises(DataError, match="plane"):
        measure_shapes(labels)
