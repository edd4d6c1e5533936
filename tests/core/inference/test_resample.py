"""Resampling against torch, in parts and whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference.resample import make_taps, resample

SIZES = st.integers(1, 40)


def resized(plane, height, width, rows=slice(None), columns=slice(None)):
    taps = []
    for size, length, part in zip(plane.shape[:2], (height, width), (rows, columns), strict=True):
        step = size / length
        taps.append(make_taps((np.arange(length)[part] + 0.5) * step, step, 0, size))
    block = plane[taps[0].first : taps[0].stop, taps[1].first : taps[1].stop]
    return resample(block, *taps)


# torch repeats the first row where the result has one column
@given(SIZES, SIZES, SIZES, st.integers(2, 40))
def test_equals_torch_with_antialiasing(height, width, new_height, new_width):
    plane = np.random.default_rng(0).random((height, width, 2), np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(plane).permute(2, 0, 1)[None].contiguous(),
        size=(new_height, new_width),
        mode="bilinear",
        antialias=True,
    )
    actual = resized(plane, new_height, new_width)
    np.testing.assert_allclose(actual, expected[0].permute(1, 2, 0), atol=1e-5)


@pytest.mark.parametrize("size", [17, 50, 120])
def test_a_part_equals_the_same_part_of_the_whole(size):
    plane = np.random.default_rng(1).random((50, 50, 1), np.float32)
    whole = resized(plane, size, size)
    part = resized(plane, size, size, slice(5, 11), slice(3, 14))
    np.testing.assert_array_equal(part, whole[5:11, 3:14])


@given(SIZES, SIZES)
def test_a_constant_stays_constant(size, new_size):
    plane = np.full((size, size, 1), 0.7, np.float32)
    np.testing.assert_allclose(resized(plane, new_size, new_size), 0.7, rtol=1e-6)
