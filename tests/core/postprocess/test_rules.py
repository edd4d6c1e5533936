"""Every rule does what its title says, and reports exactly what it took away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_cellseg.core.postprocess import _by_distance
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor, PostResult

SQUARE = np.ones((3, 3), bool)


def run(mask: np.ndarray, compiled: bool, **changes: object) -> PostResult:
    maps = {"foreground": np.where(mask, 255, 0).astype(np.uint8)}
    return PostProcessor(maps, compiled=compiled).run(PostParams(**{"split": "none", **changes}))


def disks(shape: tuple[int, int], *circles: tuple[float, float, float]) -> np.ndarray:
    y, x = np.indices(shape)
    return np.any([(y - a) ** 2 + (x - b) ** 2 <= r * r for a, b, r in circles], axis=0)


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"min_area": 20}, {20, 21}),
        ({"min_area": 21}, {21}),
        ({"min_area": 19, "max_area": 20}, {19, 20}),
        ({"min_area": 0, "max_area": 19}, {19}),
        ({"min_area": 0, "max_area": 0}, {19, 20, 21}),
    ],
)
def test_area_limits_are_inclusive(limits, left, compiled) -> None:
    mask = np.zeros((9, 40), bool)
    mask[2, 1:20] = mask[4, 1:21] = mask[6, 1:22] = True
    result = run(mask, compiled, **limits)
    assert set(np.bincount(result.labels.ravel())[1:].tolist()) == left
    gone = [area for removed in result.removed.values() for area in removed.areas.tolist()]
    assert set(gone) == {19, 20, 21} - left
    np.testing.assert_array_equal(np.unique(result.labels), np.arange(len(left) + 1))


def test_objects_under_16_px_go_by_default(compiled) -> None:
    mask = np.zeros((9, 40), bool)
    mask[2, 1:16] = mask[4, 1:17] = True
    result = run(mask, compiled)
    assert result.count == 1
    assert result.labels[4, 1] == 1
    assert result.removed["min_area"].count == 1


@pytest.mark.parametrize("side", range(4))
def test_edge_objects_touch_the_border(side, compiled) -> None:
    mask = np.zeros((20, 20), bool)
    mask[0:5, 8:13] = True  # at the border
    mask[10:15, 8:13] = True  # inside
    mask = np.rot90(mask, side)
    result = run(mask, compiled, edge_objects="remove")
    assert result.count == 1
    assert result.removed["edge_objects"].areas.tolist() == [25]
    assert run(mask, compiled).count == 2
    inside = np.zeros((20, 20), bool)
    inside[1:19, 1:19] = True  # one pixel away from the border is not at the edge
    assert run(inside, compiled, edge_objects="remove").count == 1


def test_an_object_is_taken_by_the_first_rule_only(compiled) -> None:
    mask = np.zeros((20, 20), bool)
    mask[0, :5] = True
    result = run(mask, compiled, min_area=16, edge_objects="remove")
    assert result.removed["min_area"].count == 1
    assert result.removed["edge_objects"].count == 0


def test_holes_are_filled_per_object(compiled) -> None:
    mask = np.zeros((20, 44), bool)
    mask[2:18, 2:18] = True
    mask[5:9, 5:9] = False  # a hole
    mask[17, 17] = False  # a dent at the outline
    mask[10:12, 2:6] = False  # a bay, open to the left
    mask[2:18, 22:42] = True
    mask[6, 30] = mask[7, 31] = False  # two holes that meet at a corner
    filled = run(mask, compiled).labels
    assert (filled[5:9, 5:9] == 1).all()
    assert filled[17, 17] == 0
    assert not filled[10:12, 2:6].any()
    assert filled[6, 30] == filled[7, 31] == 2
    np.testing.assert_array_equal(run(mask, compiled, fill_holes=False).labels > 0, mask)
    np.testing.assert_array_equal(filled > 0, ndimage.binary_fill_holes(mask))


def test_a_hole_open_at_a_corner_only_is_closed(compiled) -> None:
    """Cells hang together over corners, so background does not leak through them."""
    mask = np.ones((9, 9), bool)
    mask[[0, -1]] = mask[:, [0, -1]] = False
    mask[2:4, 2:4] = False
    mask[1, 1] = False  # touches the hole only diagonally
    assert (run(mask, compiled).labels[2:4, 2:4] == 1).all()


def test_a_gap_between_cells_stays_open(compiled) -> None:
    foreground = np.full((30, 30), 255, np.uint8)
    foreground[13:17, 13:17] = 0
    contour = np.zeros((30, 30), np.uint8)
    contour[:, 14:16] = 255  # two cells, one left and one right of the gap
    maps = {"foreground": foreground, "contour": contour}
    labels = PostProcessor(maps, compiled=compiled).run(PostParams()).labels
    assert labels.max() == 2
    assert not labels[13:17, 13:17].any()


def test_filled_holes_count_as_area(compiled) -> None:
    mask = np.zeros((8, 8), bool)
    mask[1:6, 1:6] = True
    mask[3, 3] = False
    assert run(mask, compiled, min_area=25).count == 1
    assert run(mask, compiled, min_area=25, fill_holes=False).count == 0


def test_opening_removes_specks_and_bridges(compiled) -> None:
    mask = disks((40, 70), (20, 15, 9), (20, 50, 9))
    mask[20, 15:50] = True  # a bridge
    mask[3, 3] = mask[5:7, 60:62] = True  # specks
    result = run(mask, compiled, opening=2, min_area=0)
    assert run(mask, compiled, min_area=0).count == 3
    assert result.count == 2
    gone = result.removed["opening"]
    assert sorted(gone.areas.tolist()) == [1, 4]  # the bridge was no object of its own
    assert gone.at(3, 3) is not None
    assert gone.at(20, 32) is None


def test_a_speck_at_a_corner_of_what_is_left_is_not_lost(compiled) -> None:
    mask = np.zeros((12, 12), bool)
    mask[4:7, 5] = mask[5, 4:7] = True
    mask[7, 6] = True  # hangs on by its corner
    gone = run(mask, compiled, opening=1, min_area=0).removed["opening"]
    assert gone.count == 0


def test_closing_bridges_gaps(compiled) -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:14] = mask[5:15, 16:25] = True
    assert run(mask, compiled).count == 2
    result = run(mask, compiled, closing=1)
    assert result.count == 1
    assert (result.labels[mask] == 1).all()  # closing only adds


def test_growth_goes_outward_and_never_merges(compiled) -> None:
    mask = np.zeros((30, 40), bool)
    mask[10:20, 5:15] = mask[10:20, 18:28] = True
    result = run(mask, compiled, growth=4)
    assert result.count == 2
    assert (result.labels[10:20, 5:15] == 1).all()
    assert (result.labels[10:20, 18:28] == 2).all()
    assert result.labels[15, 15] == 1
    assert result.labels[15, 17] == 2
    assert result.labels[15, 16] == 1  # as far from both: the lower number
    assert result.labels[6, 10] == 1
    assert result.labels[5, 10] == 0
    assert result.labels[6, 5] == 1
    assert result.labels[6, 1] == 0


def test_growth_takes_turns_of_4_and_8_neighbours(compiled) -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    grown = run(mask, compiled, growth=1, min_area=0).labels
    np.testing.assert_array_equal(grown, ndimage.binary_dilation(mask))
    grown = run(mask, compiled, growth=2, min_area=0).labels
    expected = np.zeros((9, 9), int)
    expected[2:7, 2:7] = 1
    expected[[2, 2, 6, 6], [2, 6, 2, 6]] = 0
    np.testing.assert_array_equal(grown, expected)


def test_growth_reaches_4_neighbours_first(compiled) -> None:
    mask = np.zeros((5, 6), bool)
    mask[1, 1] = mask[2, 3] = True  # the pixel (2, 2) lies beside both, at a corner of the first
    assert run(mask, compiled, growth=1, min_area=0).labels[2, 2] == 2


@pytest.mark.parametrize("radius", [1, 2, 3, 4])
def test_shrinking_is_an_erosion_by_an_octagon(radius, compiled) -> None:
    expected = mask = disks((30, 70), (14, 14, 11), (15, 52, 12))
    for step in range(radius):
        expected = ndimage.binary_erosion(expected, SQUARE if step % 2 else None)
    labels = run(mask, compiled, growth=-radius, min_area=0).labels
    np.testing.assert_array_equal(labels > 0, expected)


def test_shrinking_opens_gaps_and_reports_what_vanished(compiled) -> None:
    foreground = np.zeros((30, 60), np.uint8)
    foreground[5:25, 5:45] = 255  # two touching cells
    foreground[10:13, 50:58] = 255  # a thin one
    contour = np.zeros((30, 60), np.uint8)
    contour[:, 24:26] = 255
    processor = PostProcessor({"foreground": foreground, "contour": contour}, compiled=compiled)
    before = processor.run(PostParams()).labels
    result = processor.run(PostParams(growth=-2))
    assert before.max() == 3
    assert result.count == 2
    gone = result.removed["growth"]
    assert gone.areas.tolist() == [24]
    assert gone.box(0) == (slice(10, 13), slice(50, 58))
    assert not ((result.labels > 0) & (before == 0)).any()
    for number in (1, 2):
        inside = before == number
        eroded = ndimage.binary_erosion(ndimage.binary_erosion(inside), SQUARE)
        np.testing.assert_array_equal(result.labels == number, eroded)


def test_a_cell_that_shrinking_cuts_in_two_becomes_two(compiled) -> None:
    mask = disks((30, 60), (15, 15, 10), (15, 42, 10))
    mask[14:17, 15:42] = True
    assert run(mask, compiled).count == 1
    result = run(mask, compiled, growth=-2)
    assert result.count == 2
    for number in (1, 2):
        assert ndimage.label(result.labels == number, SQUARE)[1] == 1


def test_the_border_of_the_picture_is_no_outline(compiled) -> None:
    result = run(np.ones((20, 20), bool), compiled, growth=-3, opening=2, closing=2)
    assert (result.labels == 1).all()


@pytest.mark.parametrize(
    ("radius", "distance"), [(6, 11), (8, 13), (8, 15), (9, 15), (9, 17), (20, 34)]
)
def test_distance_splits_round_touching_cells(distance, radius, compiled) -> None:
    mask = disks((50, 80), (25, 22, radius), (25, 22 + distance, radius))
    labels = run(mask, compiled, split="distance").labels
    assert labels.max() == 2
    np.testing.assert_array_equal(labels > 0, mask)
    middle, slack = 22 + distance / 2, max(1.5, 0.2 * radius)
    x = np.indices(mask.shape)[1]
    assert (labels[mask & (x < middle - slack)] == 1).all()
    assert (labels[mask & (x > middle + slack)] == 2).all()


def test_distance_cuts_unequal_cells_at_the_waist(compiled) -> None:
    mask = disks((60, 80), (30, 25, 18), (30, 49, 9))
    labels = run(mask, compiled, split="distance").labels
    waist = int(np.argmin(mask[:, 25:49].sum(axis=0))) + 25
    assert labels.max() == 2
    assert labels[30, waist - 3] == 1
    assert labels[30, waist + 3] == 2


def test_split_strength_goes_from_never_to_always(compiled) -> None:
    mask = disks((40, 60), (20, 20, 9), (20, 35, 9))
    counts = [
        run(mask, compiled, split="distance", split_strength=s).count for s in (0.0, 0.4, 0.8, 1.0)
    ]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[2] == 2
    assert run(mask, compiled, split="none").count == 1


@pytest.mark.parametrize("radius", [3, 5, 8, 13, 30])
def test_distance_keeps_single_round_cells_whole(radius, compiled) -> None:
    side = 2 * radius + 9
    mask = disks((side, side), (radius + 4.3, radius + 4.6, radius))
    assert run(mask, compiled, split="distance").count == 1


@pytest.mark.parametrize(
    ("height", "strength", "peak"),
    [
        (1, 0.85, 2),
        (3, 0.85, 4),  # 2 / 0.85 is less than 3, but one step is what the grid does
        (10, 0.85, 11),  # 9 / 0.85 = 10.6
        (13, 0.85, 15),  # 12 / 0.85 = 14.1
        (5, 0.5, 8),  # exactly twice the waist
        (22, 0.7, 30),  # 21 / 0.7, which floats make a little more than 30
        (7, 1.0, 7),
        (7, 0.0, None),
    ],
)
def test_least_peak_by_hand(height, strength, peak) -> None:
    assert _by_distance.least_peak(height, strength) == peak


@pytest.mark.parametrize(("notch", "count"), [(0, 1), (1, 1), (3, 2)])
def test_a_waist_one_step_lower_is_no_waist(notch, count, compiled) -> None:
    mask = np.zeros((16, 52), bool)
    mask[5:10, 5:47] = True  # 3 steps deep along its middle
    mask[10 - notch : 10, 24:28] = False  # 2 steps deep there, then 1
    assert run(mask, compiled, split="distance").count == count


def test_distance_numbers_objects_in_raster_order(smooth_maps, compiled) -> None:
    maps = smooth_maps(3, (80, 120))
    labels = PostProcessor(maps, compiled=compiled).run(PostParams(split="distance")).labels
    numbers, first = np.unique(labels, return_index=True)
    assert len(numbers) > 5
    assert (np.diff(first[1:]) > 0).all()


def test_distance_splits_large_pictures_in_the_same_way(smooth_maps, monkeypatch) -> None:
    processors = [PostProcessor(smooth_maps(3, (80, 120))) for _ in range(2)]
    small = processors[0].run(PostParams(split="distance")).labels
    monkeypatch.setattr(_by_distance, "_LARGE", 0)
    np.testing.assert_array_equal(processors[1].run(PostParams(split="distance")).labels, small)
    assert small.max() > 5


RULES = st.fixed_dictionaries(
    {
        "split": st.sampled_from(["contour", "distance", "none"]),
        "min_area": st.sampled_from([0, 16, 80]),
        "max_area": st.sampled_from([0, 150, 600]),
        "edge_objects": st.sampled_from(["keep", "remove"]),
        "growth": st.integers(-2, 2),
    }
)


@settings(max_examples=25)
@given(seed=st.integers(0, 5), rules=RULES)
def test_reports_account_for_exactly_what_is_missing(seed, rules, smooth_maps, compiled) -> None:
    processor = PostProcessor(smooth_maps(seed, (70, 90)), compiled=compiled)
    off = {"min_area": 0, "max_area": 0, "edge_objects": "keep"}
    before = processor.run(PostParams(**{**rules, **off}))
    after = processor.run(PostParams(**rules))
    rest = before.labels.copy()
    for rule in ("min_area", "max_area", "edge_objects"):
        if rule not in after.removed:
            continue
        gone = after.removed[rule]
        for index in range(gone.count):
            y, x = gone.coordinates(index)
            number = rest[y[0], x[0]]
            assert number > 0
            np.testing.assert_array_equal(np.nonzero(rest == number), (y, x))
            assert gone.at(int(y[0]), int(x[0])) == index
            rest[y, x] = 0
    np.testing.assert_array_equal(rest > 0, after.labels > 0)
    kept = np.unique(rest)
    np.testing.assert_array_equal(np.searchsorted(kept, rest), after.labels)


@settings(max_examples=25)
@given(seed=st.integers(0, 5), area=st.sampled_from([2, 16, 50]))
def test_dropped_seeds_account_for_the_objects_that_vanish(
    seed, area, smooth_maps, compiled
) -> None:
    processor = PostProcessor(smooth_maps(seed, (70, 90)), compiled=compiled)
    without = processor.run(PostParams(min_area=0, min_seed_area=0, fill_holes=False))
    result = processor.run(PostParams(min_area=0, min_seed_area=area, fill_holes=False))
    gone = result.removed["min_seed_area"]
    assert result.count == without.count - gone.count
    assert (gone.areas < area).all()
    np.testing.assert_array_equal(result.labels > 0, without.labels > 0)


def test_removed_objects_can_be_painted_and_brought_back(compiled) -> None:
    mask = np.zeros((10, 12), bool)
    mask[1:3, 1:3] = mask[6:9, 6:9] = True
    result = run(mask, compiled, min_area=30)
    gone, canvas = result.removed["min_area"], np.zeros((10, 12), np.int32)
    gone.paint(canvas)
    assert result.count == 0
    assert gone.count == 2
    np.testing.assert_array_equal(canvas > 0, mask)
    assert canvas[1, 1] == 1
    assert canvas[8, 8] == 2
    assert gone.at(1, 1) == 0
    assert gone.at(8, 8) == 1
    assert gone.at(0, 0) is None
    with pytest.raises(IndexError):
        gone.coordinates(2)
