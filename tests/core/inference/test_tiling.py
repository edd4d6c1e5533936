"""Tiles cover the plane, their weights add up to 1, and they are not many."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_cellseg.core.inference.tiling import CELL, STRIDE, Tiling, fit_grid

TILINGS = st.builds(Tiling, tile=st.integers(128, 2000), margin=st.integers(16, 100))


@given(st.integers(1, 9000), st.integers(1, 300), TILINGS)
def test_weights_add_up_to_one_everywhere(height, width, tiling):
    for axis in (fit_grid((height, width), tiling).rows, fit_grid((width, height), tiling).rows):
        positions = np.arange(axis.length) + 0.5
        total = np.zeros(axis.length, np.float64)
        for i, start in enumerate(axis.starts):
            weights = axis.weights(i, positions)
            inside = (positions > start) & (positions < start + axis.side)
            assert not weights[~inside].any(), "weight outside of the tile"
            first, stop = axis.span(i)
            assert not weights[(positions < first) | (positions > stop)].any()
            total += weights
        np.testing.assert_allclose(total, 1, atol=1e-6)


@given(st.integers(1, 9000), TILINGS)
def test_tiles_fit_in_size_and_place(length, tiling):
    axis = fit_grid((length, length), tiling).columns
    assert axis.side % STRIDE == 0
    assert axis.side <= tiling.tile
    assert axis.starts[0] == 0
    assert not any(start % CELL for start in axis.starts), "strided layers would change their phase"
    if len(axis.starts) > 1:
        assert length <= axis.starts[-1] + axis.side < length + STRIDE + CELL
        assert (axis.side - np.diff(axis.starts)).min() >= 2 * axis.margin
        wanted = min(tiling.margin // 2 if tiling.tile >= 1024 else tiling.margin, 32)
        assert axis.margin >= wanted // 2
    else:
        assert length <= axis.side < length + STRIDE


@given(st.integers(128, 9000), TILINGS)
def test_the_border_of_a_tile_has_no_weight(length, tiling):
    axis = fit_grid((length, length), tiling).rows
    spared = axis.margin // 2
    for i, start in enumerate(axis.starts):
        first, stop = axis.span(i)
        assert i == 0 or first - start >= spared
        assert i + 1 == len(axis.starts) or start + axis.side - stop >= spared


@given(st.integers(1024, 12_000), st.integers(1024, 12_000))
def test_large_planes_are_computed_at_most_1_2_times(height, width):
    assert fit_grid((height, width), Tiling()).pixels <= 1.2 * height * width


def test_the_worst_sizes_too():
    worst = max(
        fit_grid((n, n), Tiling()).pixels / n**2 for n in [*range(1024, 6000), 8191, 8192, 8193]
    )
    assert worst <= 1.2


def test_sides_are_fitted_rather_than_fixed():
    grid = fit_grid((1024, 1024), Tiling(tile=900))
    assert grid.shape == (576, 576)
    assert grid.rows.starts == (0, 448)
    assert grid.tiles == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_margin_is_given_up_before_the_bound_on_cost():
    assert fit_grid((8192, 8192), Tiling()).rows.margin == 64
    assert fit_grid((1700, 1700), Tiling()).rows.margin == 32
    assert fit_grid((1700, 1700), Tiling(tile=512)).rows.margin == 64


def test_an_image_of_one_pixel_is_one_tile():
    grid = fit_grid((1, 1), Tiling())
    assert grid.shape == (STRIDE, STRIDE)
    assert grid.tiles == [(0, 0)]
