"""Intensities as the network sees them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.inference import preparation
from napari_cellseg.core.inference.preparation import Preparation, normalize, percentile_limits

DTYPES = ["bool", "uint8", "int16", ">u2", "uint32", "int64", "float16", ">f4", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_become_0_and_1_for_every_dtype(dtype):
    plane = np.linspace(0, 1 if dtype == "bool" else 100, 400).reshape(20, 20, 1).round()
    plane = plane.astype(dtype)
    result = normalize(plane, percentile_limits(plane, 0, 100))
    assert result.dtype == np.float32
    expected = plane.astype(float) / plane.astype(float).max()
    np.testing.assert_allclose(result, expected, atol=2e-3 if dtype == "float16" else 1e-6)


def test_percentiles_are_those_of_numpy_and_clip():
    plane = np.random.default_rng(0).normal(size=(64, 48, 2))
    limits = percentile_limits(plane, 2, 97)
    np.testing.assert_allclose(limits, np.percentile(plane, (2, 97), axis=(0, 1)).T)
    result = normalize(plane, limits)
    assert result.min() == 0
    assert result.max() == 1
    assert (result[plane < limits[:, 0]] == 0).all()


def test_joint_limits_keep_the_ratio_of_colours():
    plane = np.zeros((8, 8, 3), np.uint8)
    plane[4:] = (200, 100, 50)
    joint = normalize(plane, percentile_limits(plane, 0, 100, joint=True))
    np.testing.assert_allclose(joint[5, 5], (1, 0.5, 0.25))
    apart = normalize(plane, percentile_limits(plane, 0, 100))
    np.testing.assert_allclose(apart[5, 5], 1)


def test_not_finite_pixels_count_as_dark_and_not_at_all():
    plane = np.linspace(0, 10, 100).reshape(10, 10, 1)
    plane[0, 0], plane[3, 3], plane[9, 9] = np.nan, np.inf, -np.inf
    limits = percentile_limits(plane, 0, 100)
    finite = plane[np.isfinite(plane)]
    np.testing.assert_allclose(limits, [[finite.min(), finite.max()]])
    result = normalize(plane, limits)
    assert result[0, 0, 0] == result[3, 3, 0] == result[9, 9, 0] == 0


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf, -3.5])
def test_a_constant_plane_becomes_zero(value):
    plane = np.full((5, 4, 1), value)
    assert not normalize(plane, percentile_limits(plane, 1, 99.8)).any()


def test_few_bright_pixels_on_an_even_background_survive():
    plane = np.zeros((100, 100, 1), np.uint8)
    plane[50, 50] = 90
    result = normalize(plane, percentile_limits(plane, 1, 99.8))
    assert result[50, 50, 0] == 1
    assert result.sum() == 1


def test_a_large_offset_does_not_swallow_the_signal():
    plane = (10**9 + np.arange(100)).reshape(10, 10, 1)
    result = normalize(plane, percentile_limits(plane, 0, 100))
    np.testing.assert_allclose(result.ravel(), np.arange(100) / 99, atol=1e-6)


@pytest.mark.filterwarnings("error")
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.float16, np.int32]),
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
    )
)
def test_any_plane_gives_finite_values_in_range(plane):
    result = normalize(plane, percentile_limits(plane, 1, 99.8))
    assert result.shape == plane.shape
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1


def test_a_crop_is_normalised_like_the_whole():
    plane = np.random.default_rng(1).integers(0, 5000, (40, 40, 3)).astype(np.uint16)
    limits = percentile_limits(plane, 1, 99)
    np.testing.assert_array_equal(
        normalize(plane, limits)[5:9, 7:30], normalize(plane[5:9, 7:30], limits)
    )


def test_large_planes_are_sampled_on_a_fixed_grid(monkeypatch):
    plane = np.random.default_rng(2).normal(size=(90, 90, 1))
    exact = percentile_limits(plane, 5, 95)
    monkeypatch.setattr(preparation, "SAMPLED_PIXELS", 30 * 30)
    sampled = percentile_limits(plane, 5, 95)
    np.testing.assert_allclose(sampled[0], np.percentile(plane[::3, ::3], (5, 95)))
    np.testing.assert_allclose(sampled, exact, atol=0.3)


def test_settings_are_checked():
    with pytest.raises(SettingsError, match="black point"):
        Preparation.parse({"low": 50, "high": 50})
    with pytest.raises(SettingsError, match="diameter"):
        Preparation.parse({"diameter": 0})
