"""Joining the ends of contours: a border that fades in the middle separates, others stay apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor

PLAIN = PostParams(fill_holes=False, min_seed_area=16, min_area=0)


def two_cells(seen: int = 8, height: int = 30) -> dict[str, np.ndarray]:
    """Return two cells side by side, their border seen over `seen` rows at either rim."""
    foreground, contour = np.zeros((2, height + 10, 80), np.uint8)
    foreground[5 : height + 5, 10:70] = 255
    contour[5 : 5 + seen, 39:41] = 255
    contour[height + 5 - seen : height + 5, 39:41] = 255
    return {"foreground": foreground, "contour": contour}


def turned(maps: dict[str, np.ndarray], quarters: int) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(np.rot90(image, quarters)) for name, image in maps.items()}


@pytest.mark.parametrize("quarters", [0, 1])
def test_a_border_that_fades_in_the_middle_separates(quarters, compiled) -> None:
    maps = turned(two_cells(), quarters)
    processor = PostProcessor(maps, compiled=compiled)
    assert processor.run(PLAIN).count == 1
    result = processor.run(PLAIN.replace(contour_ends=20))
    assert result.count == 2
    assert np.array_equal(result.labels > 0, maps["foreground"] > 0)
    sizes = np.bincount(result.labels.ravel())[1:]
    assert abs(int(sizes[0]) - int(sizes[1])) <= 60  # cut down the middle


@pytest.mark.parametrize(("reach", "count"), [(14, 1), (15, 2)])
def test_ends_farther_apart_than_the_setting_stay_apart(reach, count, compiled) -> None:
    # rows 12 and 27 are the last that are seen
    processor = PostProcessor(two_cells(), compiled=compiled)
    assert processor.run(PLAIN.replace(contour_ends=reach)).count == count


def test_the_borders_of_a_cell_with_its_two_neighbours_stay_apart(compiled) -> None:
    foreground, contour = np.zeros((2, 40, 90), np.uint8)
    foreground[10:30, 5:85] = 255
    contour[10:30, 34:36] = contour[10:30, 50:52] = 255  # 16 px apart, side by side
    processor = PostProcessor({"foreground": foreground, "contour": contour}, compiled=compiled)
    before = processor.run(PLAIN)
    after = processor.run(PLAIN.replace(contour_ends=30))
    assert before.count == 3
    assert np.array_equal(before.labels, after.labels)


@pytest.mark.parametrize(("shift", "count"), [(0, 2), (4, 2), (24, 1)])
def test_an_end_must_lie_in_the_direction_of_the_other(shift, count, compiled) -> None:
    maps = two_cells()
    lower = maps["contour"][20:].copy()
    maps["contour"][20:] = np.roll(lower, shift, axis=1)
    processor = PostProcessor(maps, compiled=compiled)
    assert processor.run(PLAIN.replace(contour_ends=40)).count == count


def test_a_line_does_not_leave_the_cells(compiled) -> None:
    maps = two_cells()
    maps["foreground"][17:23, 30:50] = 0  # a hole; a line through it would cut both bridges
    processor = PostProcessor(maps, compiled=compiled)
    before = processor.run(PLAIN)
    assert before.count == 1
    assert np.array_equal(before.labels, processor.run(PLAIN.replace(contour_ends=20)).labels)


@pytest.mark.parametrize(("seen", "count"), [(1, 1), (2, 2)])
def test_specks_are_no_ends(seen, count, compiled) -> None:
    processor = PostProcessor(two_cells(seen, height=12), compiled=compiled)
    assert processor.run(PLAIN.replace(contour_ends=20)).count == count


def test_a_line_is_not_much_longer_than_what_is_seen(compiled) -> None:
    # 3 rows at either rim: up to 3 x 6 px of line
    for height, count in ((23, 2), (27, 1)):
        processor = PostProcessor(two_cells(3, height), compiled=compiled)
        assert processor.run(PLAIN.replace(contour_ends=60)).count == count


def test_long_outlines_take_no_part(compiled) -> None:
    maps = two_cells(30, height=76)  # rows 34 and 51 face each other, the pieces are 30 px long
    processor = PostProcessor(maps, compiled=compiled)
    assert processor.run(PLAIN.replace(contour_ends=20)).count == 2
    maps = two_cells(41, height=98)  # the same distance, but more than twice the reach
    assert PostProcessor(maps, compiled=compiled).run(PLAIN.replace(contour_ends=20)).count == 1


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_ends_on_the_border_of_the_picture(side, compiled) -> None:
    """Lines are drawn along the last row or column as elsewhere, and never beyond."""
    foreground = np.full((60, 67), 255, np.uint8)
    contour = np.zeros_like(foreground)
    index = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0], "bottom": np.s_[-1]}[side]
    contour[index][:20] = contour[index][30:] = 255
    maps = {"foreground": foreground, "contour": contour}
    assert PostProcessor(maps, compiled=compiled).run(PLAIN.replace(contour_ends=40)).count == 1


@pytest.mark.parametrize("corner", [(0, 0), (190, 200), (333, 300)])
def test_a_region_is_joined_as_the_whole_picture_is(corner, compiled) -> None:
    foreground, contour = np.zeros((2, 480, 480), np.uint8)
    rng = np.random.default_rng(0)
    for y in range(4, 440, 36):
        for x in range(4, 400, 70):
            foreground[y : y + 30, x : x + 60] = 255
            seen = int(rng.integers(3, 14))
            middle = x + 29 + int(rng.integers(-6, 7))
            contour[y : y + seen, middle : middle + 2] = 255
            contour[y + 30 - seen : y + 30, middle : middle + 2] = 255
    processor = PostProcessor({"foreground": foreground, "contour": contour}, compiled=compiled)
    params = PLAIN.replace(contour_ends=20)
    region = tuple(slice(c, c + 100) for c in corner)
    whole, part = processor.run(params), processor.run(params, region)
    assert whole.count > processor.run(PLAIN).count
    pairs = set(
        zip(whole.labels[region].ravel().tolist(), part.labels.ravel().tolist(), strict=True)
    )
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), reach=st.integers(1, 60))
def test_the_foreground_stays_covered(seed, reach, smooth_maps, compiled) -> None:
    maps = smooth_maps(seed, (50, 70))
    processor = PostProcessor(maps, compiled=compiled)
    params = PLAIN.replace(min_seed_area=0)
    before = processor.run(params).labels
    after = processor.run(params.replace(contour_ends=reach)).labels
    assert np.array_equal(before > 0, after > 0)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_compiled_and_plain_agree(seed, smooth_maps) -> None:
    pytest.importorskip("numba")
    maps = smooth_maps(seed, (130, 150))
    params = PLAIN.replace(contour_ends=30, contour_gap=2)
    one, two = (PostProcessor(maps, compiled=c).run(params).labels for c in (True, False))
    assert np.array_equal(one, two)
