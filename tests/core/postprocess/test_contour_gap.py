"""Closing gaps in contours: two cells with half a contour between them come apart, no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor

PLAIN = PostParams(fill_holes=False, min_seed_area=16, min_area=0)
AREA = 326  # of each half below, once the contour is 3 px thicker


def half_contour(hole: int) -> dict[str, np.ndarray]:
    """Return two cells of 20 x 20 px side by side, their contour open over `hole` rows."""
    foreground, contour = np.zeros((2, 30, 60), np.uint8)
    foreground[5:25, 10:50] = 255
    contour[5:25, 29:31] = 255
    middle = 15
    contour[middle - hole // 2 : middle + hole - hole // 2, 29:31] = 0
    return {"foreground": foreground, "contour": contour}


def test_a_gap_joins_two_cells_unless_it_is_closed(compiled) -> None:
    maps = half_contour(6)
    processor = PostProcessor(maps, compiled=compiled)
    assert processor.run(PLAIN).count == 1
    result = processor.run(PLAIN.replace(contour_gap=3))
    assert result.count == 2
    assert result.labels[15, 12] != result.labels[15, 47]
    assert np.array_equal(result.labels > 0, maps["foreground"] > 0)
    sizes = np.bincount(result.labels.ravel())[1:]
    assert abs(int(sizes[0]) - int(sizes[1])) <= 20


@pytest.mark.parametrize(("hole", "gap", "count"), [(6, 2, 1), (6, 3, 2), (9, 4, 1), (9, 5, 2)])
def test_a_gap_is_closed_up_to_twice_the_setting(hole, gap, count, compiled) -> None:
    processor = PostProcessor(half_contour(hole), compiled=compiled)
    assert processor.run(PLAIN.replace(contour_gap=gap)).count == count


def test_pieces_smaller_than_a_seed_do_not_count(compiled) -> None:
    processor = PostProcessor(half_contour(6), compiled=compiled)
    # each piece keeps at most 20 x 19 - ... pixels; with a larger least seed nothing is cut
    params = PLAIN.replace(contour_gap=3, min_seed_area=400)
    assert processor.run(params).count == 1


def test_thin_cells_beside_a_contour_survive(compiled) -> None:
    foreground, contour = np.zeros((2, 30, 60), np.uint8)
    foreground[5:25, 10:16] = 255  # 6 px wide: thicker contours would eat it whole
    foreground[5:25, 18:50] = 255
    foreground[5:25, 16:18] = contour[5:25, 16:18] = 255
    maps = {"foreground": foreground, "contour": contour}
    processor = PostProcessor(maps, compiled=compiled)
    assert processor.run(PLAIN).count == processor.run(PLAIN.replace(contour_gap=8)).count == 2


@pytest.mark.parametrize(("area", "count"), [(AREA, 2), (AREA + 1, 1)])
def test_a_piece_as_large_as_the_least_seed_counts(area, count, compiled) -> None:
    processor = PostProcessor(half_contour(6), compiled=compiled)
    assert processor.run(PLAIN.replace(contour_gap=3, min_seed_area=area)).count == count


@pytest.mark.parametrize(("rows", "count"), [(1, 1), (4, 2)])
def test_a_lobe_is_no_cell_of_its_own(rows, count, compiled) -> None:
    maps = half_contour(6)  # two halves of 20 x 19 px, the left one cut down to some rows
    maps["foreground"][5 : 15 - rows, 10:27] = maps["foreground"][15 + rows : 25, 10:27] = 0
    processor = PostProcessor(maps, compiled=compiled)
    params = PLAIN.replace(contour_gap=3, min_seed_area=0)
    assert processor.run(params).count == count


def cut_seeds(mask: np.ndarray, contour: np.ndarray, gap: int, least: int) -> np.ndarray:
    """Return the seeds pixel by pixel: whole ones first, then the pieces of those that are cut."""
    kernel, thick = np.ones((3, 3), bool), contour
    for step in range(gap):
        thick = ndimage.binary_dilation(thick, kernel if step % 2 else None)
    seeds, _ = ndimage.label(mask & ~contour, kernel)
    pieces, _ = ndimage.label(mask & ~thick, kernel)
    whole, parts = [], []
    for number in range(1, seeds.max() + 1):
        seed = seeds == number
        inside = [pieces == n for n in np.unique(pieces[seed & (pieces > 0)])]
        inside = [piece for piece in inside if piece.sum() >= max(least, 0.15 * seed.sum())]
        if len(inside) > 1:
            parts += inside
        elif seed.sum() >= least:
            whole.append(seed)
    parts.sort(key=lambda piece: int(np.flatnonzero(piece)[0]))
    result = np.zeros(mask.shape, np.int32)
    for number, seed in enumerate([*whole, *parts], 1):
        result[seed] = number
    return result


@pytest.mark.parametrize(
    ("seed", "gap", "least"), [(0, 1, 1), (1, 2, 0), (2, 2, 5), (3, 3, 8), (4, 4, 3), (5, 1, 16)]
)
def test_equals_cutting_seed_by_seed(seed, gap, least, smooth_maps, grow, compiled) -> None:
    maps = smooth_maps(seed, (60, 131))
    mask, contour = maps["foreground"] >= 128, maps["contour"] >= 166
    expected = grow(cut_seeds(mask, contour, gap, least), mask)
    params = PLAIN.replace(contour_threshold=0.65, contour_gap=gap, min_seed_area=least)
    result = PostProcessor(maps, compiled=compiled).run(params)
    np.testing.assert_array_equal(result.labels, expected)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), gap=st.integers(1, 6))
def test_cells_are_only_ever_divided(seed, gap, smooth_maps, compiled) -> None:
    """The foreground stays covered, and no two objects of Algorithm 1 are joined."""
    maps = smooth_maps(seed, (50, 70))
    processor = PostProcessor(maps, compiled=compiled)
    before = processor.run(PLAIN).labels
    after = processor.run(PLAIN.replace(contour_gap=gap)).labels
    assert np.array_equal(before > 0, after > 0)
    assert after.max() >= before.max()


def test_compiled_and_plain_agree(smooth_maps) -> None:
    pytest.importorskip("numba")
    maps = smooth_maps(3, (130, 150))
    params = PLAIN.replace(contour_gap=4)
    one, two = (PostProcessor(maps, compiled=c).run(params).labels for c in (True, False))
    assert np.array_equal(one, two)
