"""Objects found one by one: painted, suppressed and cleaned live, without the network."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.instances import Instances, intersections
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.registry import STAGES, fields_of
from napari_cellseg.core.postprocess.stack import postprocess_stack

BARE = PostParams(min_area=0, fill_holes=False, nms_threshold=0.8, min_visible=0.0)
CHANGE = st.sampled_from(
    [
        {"score_threshold": 0.3},
        {"score_threshold": 0.8},
        {"nms_threshold": 0.1},
        {"nms_threshold": 0.7},
        {"mask_threshold": 0.3},
        {"mask_threshold": 0.7},
        {"min_visible": 0.9},
        {"growth": 2},
        {"growth": -1},
        {"min_area": 60},
        {"max_area": 200},
        {"edge_objects": "remove"},
    ]
)


def squares(*boxes: tuple[float, ...], scores: list[float] | None = None, side: int = 8):
    """Candidates that fill their boxes, in a picture of 60 x 80."""
    scores = scores or [0.9 - 0.1 * k for k in range(len(boxes))]
    masks = np.full((len(boxes), side, side), 255, np.uint8)
    return Instances.of((60, 80), np.float32(boxes), np.float32(scores), masks)


def blobs(seed: int, count: int = 30) -> Instances:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-4, (52, 72), (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(6, 20, (count, 2))], axis=1)
    yy, xx = np.mgrid[:14, :14] - 6.5
    mask = np.clip(255 * (1.4 - np.hypot(yy, xx) / 6.5), 0, 255).astype(np.uint8)
    scores = rng.uniform(0.05, 1, count)
    return Instances.of((60, 80), np.float32(boxes), np.float32(scores), np.stack([mask] * count))


def same(one, other) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.count == other.count
    assert one.removed.keys() == other.removed.keys()
    for rule, gone in one.removed.items():
        np.testing.assert_array_equal(gone.pixels, other.removed[rule].pixels)


def test_a_full_mask_covers_the_pixels_of_its_box_and_no_other() -> None:
    labels = PostProcessor(squares((3, 5, 12, 30))).run(BARE).labels
    expected = np.zeros((60, 80), np.int32)
    expected[3:12, 5:30] = 1
    np.testing.assert_array_equal(labels, expected)


def test_a_box_beyond_the_border_is_cut_there() -> None:
    labels = PostProcessor(squares((-6, 70, 4, 95), (50, -3, 70, 5))).run(BARE).labels
    expected = np.zeros((60, 80), np.int32)
    expected[:4, 70:], expected[50:, :5] = 1, 2
    np.testing.assert_array_equal(labels, expected)


def test_soft_masks_are_interpolated_where_the_true_ones_were_sampled() -> None:
    """A ramp over the box: cell k of the mask lies at coordinate (k + 0.5) / M of the box."""
    mask = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (16, 1))[None]
    found = Instances((20, 60), np.float32([[0, 10, 20, 42]]), np.float32([1]), mask)
    pixels = found.pixels(((0, 20), (0, 60)))
    row = pixels.value[: 42 - 10]
    expected = np.clip((np.arange(32) / 32 * 16 - 0.5) * 10, 0, 150)
    np.testing.assert_allclose(row, expected, atol=0.51)


def test_the_mask_threshold_moves_the_outline() -> None:
    mask = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))[None]
    found = Instances((20, 120), np.float32([[0, 10, 20, 110]]), np.float32([1]), mask)
    processor = PostProcessor(found)
    for threshold in (0.25, 0.5, 0.75):
        count = (processor.run(BARE.replace(mask_threshold=threshold)).labels[10] > 0).sum()
        assert abs(count - 100 * (1 - threshold)) <= 2


def test_the_better_candidate_wins_where_two_overlap() -> None:
    found = squares((0, 0, 20, 20), (10, 10, 30, 30), scores=[0.6, 0.9])
    labels = PostProcessor(found).run(BARE).labels
    assert (labels[10:30, 10:30] == 1).all()
    assert (labels == 2).sum() == 300
    assert set(labels[:10, :10].ravel()) == {2}


def test_the_score_threshold_includes_its_own_value() -> None:
    found = squares((0, 0, 9, 9), (20, 20, 29, 29), scores=[0.75, 0.5])
    processor = PostProcessor(found)
    counts = [processor.run(BARE.replace(score_threshold=t)).count for t in (0.5, 0.51, 0.75, 0.76)]
    assert counts == [2, 1, 1, 0]


def test_suppression_goes_from_the_best_to_the_worst() -> None:
    """Of a chain a - b - c, b goes for the sake of a; then c, which only b overlaps, stays."""
    chain = squares((0, 0, 20, 10), (6, 0, 26, 10), (12, 0, 32, 10), scores=[0.9, 0.8, 0.7])
    np.testing.assert_array_equal(chain.without_overlaps(0.4), [True, False, True])
    np.testing.assert_array_equal(chain.without_overlaps(0.8), [True, True, True])
    np.testing.assert_array_equal(chain.without_overlaps(0.0), [True, False, False])


def test_a_hidden_cell_goes_and_can_be_brought_back() -> None:
    found = squares((0, 0, 20, 20), (0, 8, 20, 24), (40, 40, 50, 50))
    result = PostProcessor(found).run(BARE.replace(min_visible=0.5))
    assert result.count == 2  # the second shows 4 of 16 columns
    gone = result.removed["min_visible"]
    assert gone.count == 1
    assert gone.areas[0] == 20 * 16
    assert gone.box(0) == (slice(0, 20), slice(8, 24))
    assert PostProcessor(found).run(BARE.replace(min_visible=0.25)).count == 3


def test_the_common_rules_work_on_painted_cells() -> None:
    ring = np.zeros((1, 16, 16), np.uint8)
    ring[:, :3] = ring[:, -3:] = ring[:, :, :3] = ring[:, :, -3:] = 255
    found = Instances((60, 80), np.float32([[10, 10, 42, 42]]), np.float32([1]), ring)
    processor = PostProcessor(found)
    hollow = processor.run(BARE).labels
    filled = processor.run(BARE.replace(fill_holes=True)).labels
    assert hollow[26, 26] == 0
    assert filled[26, 26] == 1
    assert (filled > 0).sum() == 32 * 32
    assert processor.run(BARE.replace(fill_holes=True, max_area=1000)).count == 0
    grown = processor.run(BARE.replace(fill_holes=True, growth=2)).labels
    assert (grown > 0).sum() > 34 * 34
    edge = PostProcessor(squares((0, 0, 9, 9), (20, 20, 29, 29)))
    assert edge.run(BARE.replace(edge_objects="remove")).count == 1


@settings(max_examples=25, deadline=None)
@given(changes=st.lists(CHANGE, min_size=2, max_size=8), seed=st.integers(0, 3))
def test_kept_stages_give_what_a_fresh_run_gives(changes, seed, compiled) -> None:
    found = blobs(seed)
    kept, params = PostProcessor(found, compiled=compiled), PostParams()
    for change in changes:
        params = params.replace(**change)
        same(kept.run(params), PostProcessor(found, compiled=compiled).run(params))


def test_only_the_stages_after_a_change_run_again() -> None:
    processor, params = PostProcessor(blobs(0)), PostParams()
    assert processor.run(params).stages_run == STAGES
    for change, stages in (
        ({"score_threshold": 0.4}, STAGES),
        ({"mask_threshold": 0.6}, STAGES[1:]),
        ({"growth": 1}, STAGES[2:]),
        ({"min_area": 30}, STAGES[3:]),
        ({"foreground_threshold": 0.9, "split": "none", "opening": 2}, ()),
    ):
        params = params.replace(**change)
        assert processor.run(params).stages_run == stages


def test_a_region_shows_what_the_whole_shows() -> None:
    processor, params = PostProcessor(blobs(2, 40)), PostParams()
    whole = processor.run(params).labels[10:50, 20:60]
    part = processor.run(params, (slice(10, 50), slice(20, 60)))
    assert part.labels.shape == (40, 40)
    np.testing.assert_array_equal(part.labels > 0, whole > 0)
    pairs = {tuple(p) for p in np.stack([part.labels, whole], -1).reshape(-1, 2)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert part.count == len(np.unique(whole[whole > 0]))


@given(seed=st.integers(0, 50), count=st.integers(0, 400))
@settings(max_examples=30, deadline=None)
def test_intersections_are_those_of_all_pairs(seed, count) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([low, low + rng.exponential(8, (count, 2))], axis=1).astype(np.float32)
    pairs, common = intersections(boxes)
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    sides = np.clip(high - np.maximum(boxes[:, None, :2], boxes[None, :, :2]), 0, None)
    area = np.triu(sides.prod(axis=2), 1)
    np.testing.assert_array_equal(pairs, np.argwhere(area))
    np.testing.assert_allclose(common, area[area > 0], rtol=1e-5)


def test_suppression_equals_the_plain_loop() -> None:
    found = blobs(5, 60)
    height, width = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    kept = np.ones(60, bool)
    for i, j in combinations(range(60), 2):
        a, b = found.boxes[i], found.boxes[j]
        sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
        both = sides.prod()
        iou = both / (height[i] * width[i] + height[j] * width[j] - both)
        if kept[i] and iou > 0.2:
            kept[j] = False
    np.testing.assert_array_equal(found.without_overlaps(0.2), kept)
    assert 10 < kept.sum() < 55


def test_nothing_found_is_an_empty_picture() -> None:
    empty = squares(scores=[])
    empty = Instances((60, 80), np.zeros((0, 4), np.float32), empty.scores, empty.masks)
    result = PostProcessor(empty).run(PostParams())
    assert result.count == 0
    assert result.labels.shape == (60, 80)
    assert empty.as_map().shape == (60, 80)


def test_a_stack_has_unique_numbers() -> None:
    planes = {(t, z): blobs(2 * t + z) for t in range(2) for z in range(3)}
    prediction = Prediction({}, "TZYX", instances=planes)
    assert prediction.shape == (2, 3, 60, 80)
    result = postprocess_stack(prediction, PostParams())
    counts = [PostProcessor(plane).run(PostParams()).count for plane in planes.values()]
    assert result.count == sum(counts) == result.labels.max()
    assert len(np.unique(result.labels)) == sum(counts) + 1


def test_each_kind_of_prediction_has_its_own_settings() -> None:
    own = {"score_threshold", "nms_threshold", "mask_threshold", "min_visible"}
    assert own < set(fields_of("instances"))
    assert not own & set(fields_of("maps"))
    assert {"foreground_threshold", "split", "opening"} <= set(fields_of("maps"))
    assert not {"foreground_threshold", "split", "opening"} & set(fields_of("instances"))
    assert {"growth", "min_area", "fill_holes"} <= set(fields_of("maps")) & set(
        fields_of("instances")
    )
    assert set(fields_of("any")) == set(PostParams.model_fields)


def test_the_map_is_the_greatest_certainty() -> None:
    found = squares((0, 0, 20, 20), (10, 10, 30, 30), scores=[0.6, 0.9])
    certain = found.as_map()
    assert certain[15, 15] == certain[25, 25] == round(0.9 * 255)
    assert certain[5, 5] == round(0.6 * 255)
    assert certain[40, 40] == 0


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_candidates_are_sorted_by_score(order) -> None:
    scores = np.float32([0.2, 0.9, 0.5])[order]
    boxes = np.float32([[k, k, k + 9, k + 9] for k in (2, 9, 5)])[order]
    found = Instances.of((60, 80), boxes, scores, np.zeros((3, 4, 4), np.uint8))
    np.testing.assert_array_equal(found.boxes[:, 0], [9, 5, 2])
