"""Shape, neighbours and brightness against scikit-image and against counting one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from scipy.spatial.distance import cdist
from skimage.measure import regionprops

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.measure.measure import measure
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.progress import finish

small_labels = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 3)
)
sizes = st.sampled_from([None, (0.5, 0.5), (0.25, 1.5)])
slowly = settings(deadline=None, max_examples=40)


def blobs(seed: int = 0, shape: tuple[int, int] = (60, 70)) -> np.ndarray:
    """Irregular objects of all sizes, some touching, some in pieces."""
    rng = np.random.default_rng(seed)
    noise = ndi.gaussian_filter(rng.normal(size=shape), 3)
    pieces = ndi.label(noise > 0)[0]
    halves = np.where(pieces > 0, 2 * pieces + (np.arange(shape[1]) % 17 > 8), 0)
    return halves.astype(np.int32)


def table(labels, image=None, pixel_size=None, **changes):
    settings = MeasureSettings().replace(**changes)
    axes = "TZYX"[4 - labels.ndim :]
    return finish(measure(Labels(labels, axes), image, settings, pixel_size=pixel_size))


def check_shapes(labels, size):
    found = table(labels, pixel_size=size, kinds=("shape",))
    regions = regionprops(labels, spacing=size or (1, 1))
    assert found["label"].tolist() == [region.label for region in regions]
    unit, square = ("um", "um2") if size else ("px", "px")
    h, w = size or (1.0, 1.0)
    for k, region in enumerate(regions):
        row = {name: column[k] for name, column in found.columns.items()}
        assert row[f"area_{square}"] == pytest.approx(region.area)
        for ours, theirs in {
            "major_axis": region.axis_major_length,
            "minor_axis": region.axis_minor_length,
            "equivalent_diameter": region.equivalent_diameter_area,
            "feret_max": region.feret_diameter_max,
            "centroid_y": region.centroid[0],
            "centroid_x": region.centroid[1],
        }.items():
            # regionprops loses half of the digits of a minor axis near 0
            assert row[f"{ours}_{unit}"] == pytest.approx(theirs, abs=1e-6), ours
        assert row["solidity"] == pytest.approx(region.solidity)
        assert row["eccentricity"] == pytest.approx(region.eccentricity, abs=1e-6)
        if h == w:
            assert row[f"perimeter_{unit}"] == pytest.approx(region.perimeter)
        check_orientation(row["orientation_deg"], region)
        box = [row[f"bbox_{side}_px"] for side in ("top", "left", "bottom", "right")]
        assert box == list(region.bbox)
        rows, columns = region.coords.T
        rim = (rows == 0) | (columns == 0) | (rows == labels.shape[0] - 1)
        rim |= columns == labels.shape[1] - 1
        assert row["edge_px"] == rim.sum()
        assert row["touches_edge"] == rim.any()


def check_orientation(angle, region):
    large, small = region.inertia_tensor_eigvals
    if large - small > 1e-6 * large:
        away = (angle - math.degrees(region.orientation)) % 180
        assert min(away, 180 - away) == pytest.approx(0, abs=1e-5)
        assert -90 <= angle <= 90
    elif large - small < 1e-12 * large or large == 0:
        assert math.isnan(angle)


@slowly
@given(small_labels, sizes)
def test_shapes_agree_with_regionprops_on_anything(labels, size):
    check_shapes(labels, size)


@pytest.mark.parametrize("size", [None, (0.3, 0.3), (0.2, 0.7)])
def test_shapes_agree_with_regionprops_on_cells(size):
    check_shapes(blobs(), size)


def test_a_large_ragged_object_has_its_convex_hull():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:150, :140]
    labels = ((np.hypot(y - 80, x - 70) < 60) & (rng.random(y.shape) < 0.2)).astype(np.int32)
    labels[3, 5] = labels[148, 1] = 1  # far pieces: the hull closes on one side step by step
    check_shapes(labels, None)


def test_perimeter_in_oblong_pixels():
    labels = np.zeros((9, 9), np.int32)
    labels[2:7, 1:8] = 5  # 5 rows and 7 columns
    found = table(labels, pixel_size=(2.0, 0.5), kinds=("shape",))
    assert found["perimeter_px"][0] == 2 * (4 + 6)
    # along the centres: 2 x 4 steps down, 2 x 6 across; the corners count half of both
    assert found["perimeter_um"][0] == pytest.approx(2 * (4 * 2.0 + 6 * 0.5))
    diagonal = np.eye(8, dtype=np.int32)
    found = table(diagonal, pixel_size=(3.0, 4.0), kinds=("shape",))
    # all but the two ends lie between two diagonal neighbours
    assert found["perimeter_um"][0] == pytest.approx(6 * 5.0)


@slowly
@given(small_labels, st.sampled_from([1.0, 1.5, 2.0, 3.7]))
def test_neighbours_agree_with_distances_between_pixels(labels, distance):
    found = table(labels, kinds=("neighbours",), neighbour_distance=distance)
    pixels = [np.argwhere(labels == label) for label in found["label"]]
    near = [sum(cdist(a, b).min() <= distance for b in pixels) - 1 for a in pixels]
    assert found["neighbours"].tolist() == near


@slowly
@given(small_labels, sizes)
def test_nearest_is_the_least_distance_of_centroids(labels, size):
    found = table(labels, kinds=("neighbours", "shape"), pixel_size=size, speed="fast")
    unit = "um" if size else "px"
    centres = np.stack([found[f"centroid_y_{unit}"], found[f"centroid_x_{unit}"]], axis=1)
    away = cdist(centres, centres) + np.diag(np.full(len(centres), np.inf))
    least = away.min(axis=1) if len(centres) > 1 else np.full(len(centres), np.nan)
    np.testing.assert_allclose(found[f"nearest_{unit}"], least, atol=1e-12)


kinds_of_pixels = st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64, bool])


@slowly
@given(small_labels, kinds_of_pixels, st.integers(0, 99))
def test_brightness_agrees_with_regionprops(labels, dtype, seed):
    rng = np.random.default_rng(seed)
    pixels = (rng.normal(100, 40, (*labels.shape, 2))).clip(0).astype(dtype)
    found = table(labels, Image(pixels, "YXC"), kinds=("intensity",))
    regions = regionprops(labels, pixels)
    assert len(found) == len(regions)
    for k, region in enumerate(regions):
        for c in range(2):
            values = pixels[..., c][labels == region.label].astype(np.float64)
            assert found[f"mean_C{c}"][k] == pytest.approx(region.intensity_mean[c])
            assert found[f"min_C{c}"][k] == region.intensity_min[c]
            assert found[f"max_C{c}"][k] == region.intensity_max[c]
            assert found[f"sum_C{c}"][k] == pytest.approx(values.sum())
            assert found[f"std_C{c}"][k] == pytest.approx(values.std(), abs=1e-9)
            assert found[f"median_C{c}"][k] == pytest.approx(np.median(values))


@slowly
@given(small_labels, st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([1.0, 3.0]))
def test_ring_is_the_background_near_the_object(labels, gap, width):
    rng = np.random.default_rng(labels.size)
    pixels = rng.integers(0, 1000, labels.shape).astype(np.uint16)
    image = Image(pixels, "YX")
    found = table(labels, image, kinds=("intensity",), ring_gap=gap, ring_width=width)
    for k, label in enumerate(found["label"]):
        away = ndi.distance_transform_edt(labels != label)
        ring = (away > gap) & (away <= gap + width) & (labels == 0)
        expected = pixels[ring].mean() if ring.any() else np.nan
        assert found["ring_mean_C0"][k] == pytest.approx(expected, nan_ok=True)
        above = found["mean_C0"][k] - expected
        assert found["mean_minus_ring_C0"][k] == pytest.approx(above, nan_ok=True)
