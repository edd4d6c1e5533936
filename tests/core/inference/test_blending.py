"""Tiles become one picture without seams."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cellseg.core.inference.blending import Blender
from napari_cellseg.core.inference.tiling import Tiling, fit_grid


def blend(grid, shape, tile_of):
    targets = [np.full(shape, 99, np.uint8) for _ in range(2)]
    blender = Blender(grid, targets)
    for row, column in grid.tiles:
        blender.add(row, column, tile_of(row, column))
        if column + 1 == len(grid.columns.starts):
            blender.finish_row(row)
    return targets


@given(st.integers(1, 700), st.integers(1, 700), st.integers(128, 300))
def test_tiles_cut_from_a_picture_give_the_picture(height, width, tile):
    grid = fit_grid((height, width), Tiling(tile=tile))
    picture = np.random.default_rng(0).integers(0, 256, (2, height, width)).astype(np.float32)
    padded = np.pad(picture, [(0, 0), (0, grid.rows.side), (0, grid.columns.side)])

    def cut(row, column):
        y, x = grid.rows.starts[row], grid.columns.starts[column]
        return padded[:, y : y + grid.rows.side, x : x + grid.columns.side].copy()

    for target, expected in zip(blend(grid, (height, width), cut), picture, strict=True):
        np.testing.assert_array_equal(target, expected)


@given(st.integers(1, 400), st.floats(0.1, 4), st.sampled_from([0.0, 100.4, 100.6, 255.0]))
def test_every_image_pixel_is_written_and_rounded_at_any_scale(size, scale, value):
    length = max(1, round(size * scale))
    grid = fit_grid((length, length), Tiling(tile=160))
    tile = np.full((2, *grid.shape), value, np.float32)
    for target in blend(grid, (size, size), lambda *_: tile.copy()):
        assert (target == round(value)).all()


def test_neighbours_fade_into_each_other():
    grid = fit_grid((64, 300), Tiling(tile=256, margin=32))
    assert len(grid.columns.starts) == 2
    (target, _) = blend(
        grid, (64, 300), lambda row, column: np.full((2, *grid.shape), 200.0 * column, np.float32)
    )
    profile = target[30].astype(int)
    assert profile[0] == 0
    assert profile[-1] == 200
    steps = np.diff(profile)
    assert steps.min() >= 0
    assert steps.max() <= 200 / 32 + 1, "a seam is visible"
    seam = round(grid.columns.seams(0)[1])
    assert profile[seam] == pytest.approx(100, abs=4)
