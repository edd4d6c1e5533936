"""The split by contour is the paper's Algorithm 1, pixel for pixel and number for number."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.threshold import level

BARE = PostParams(fill_holes=False, min_seed_area=0, min_area=0)
LEVELS = st.sampled_from([0, 127, 128, 255])  # around the default threshold, strictly above 127.5
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
WIDE = st.tuples(st.integers(1, 5), st.integers(60, 140))  # over the seams of 64-pixel words


@st.composite
def maps_of_any_kind(draw: st.DrawFn) -> dict[str, np.ndarray]:
    shape = draw(SHAPES | WIDE)
    return {
        name: draw(hnp.arrays(np.uint8, shape, elements=LEVELS, fill=LEVELS))
        for name in ("foreground", "contour")
    }


@settings(max_examples=60)
@given(maps=maps_of_any_kind())
def test_equals_the_printed_algorithm_on_noise(maps, algorithm_1, compiled) -> None:
    expected = algorithm_1(maps["foreground"] >= 128, maps["contour"] >= 128)
    result = PostProcessor(maps, compiled=compiled).run(BARE)
    np.testing.assert_array_equal(result.labels, expected)
    assert result.count == expected.max()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_equals_the_printed_algorithm_on_blobs(
    seed, threshold, algorithm_1, smooth_maps, compiled
) -> None:
    maps = smooth_maps(seed, (60, 131))
    params = BARE.replace(foreground_threshold=threshold, contour_threshold=threshold)
    expected = algorithm_1(maps["foreground"] > threshold * 255, maps["contour"] > threshold * 255)
    result = PostProcessor(maps, compiled=compiled).run(params)
    np.testing.assert_array_equal(result.labels, expected)


@pytest.mark.parametrize("folder", ["nuclei_dsb2018", "nuclei_bbbc039"])
def test_equals_the_printed_algorithm_on_real_nuclei(
    folder, shared_data, algorithm_1, compiled
) -> None:
    tifffile = pytest.importorskip("tifffile")
    names = json.loads((shared_data / folder / "split.json").read_text())["val"]
    path = next((shared_data / folder / "labels").glob(f"{names[0]}*"))
    labels = tifffile.imread(path)[:200, :260].astype(np.int32)
    rim = np.zeros(labels.shape, bool)  # an outline of 3 px, thick enough to swallow small nuclei
    for axis in (0, 1):
        for shift in (-1, 1):
            rim |= np.roll(labels, shift, axis) != labels
    rim = rim | np.roll(rim, 1, 0) | np.roll(rim, 1, 1)
    maps = {
        "foreground": np.where(labels > 0, 255, 0).astype(np.uint8),
        "contour": np.where(rim, 255, 0).astype(np.uint8),
    }
    expected = algorithm_1(labels > 0, rim)
    result = PostProcessor(maps, compiled=compiled).run(BARE)
    np.testing.assert_array_equal(result.labels, expected)
    assert expected.max() > 3


def test_a_pixel_wanted_by_two_goes_to_the_lower_number(compiled) -> None:
    contour = np.array([[0, 255, 0], [255, 255, 255], [0, 255, 0]], np.uint8)
    maps = {"foreground": np.full((3, 3), 255, np.uint8), "contour": contour}
    labels = PostProcessor(maps, compiled=compiled).run(BARE).labels
    np.testing.assert_array_equal(labels, [[1, 1, 2], [1, 1, 2], [3, 3, 4]])


def test_seeds_that_meet_at_a_corner_are_one(compiled) -> None:
    foreground = np.array([[255, 0], [0, 255]], np.uint8)
    maps = {"foreground": foreground, "contour": np.zeros((2, 2), np.uint8)}
    assert PostProcessor(maps, compiled=compiled).run(BARE).count == 1


def test_the_nearer_seed_wins_along_the_foreground(compiled) -> None:
    """Distance is measured inside the foreground, not through the background."""
    foreground = np.full((7, 9), 255, np.uint8)
    foreground[3, :-1] = 0  # a wall that is open at the right
    contour = np.full((7, 9), 255, np.uint8)
    contour[0, 0] = contour[6, 8] = 0
    labels = (
        PostProcessor({"foreground": foreground, "contour": contour}, compiled=compiled)
        .run(BARE)
        .labels
    )
    assert (labels[4:] == 2).all()  # seed 1 is near as the crow flies, but behind the wall
    assert (labels[:3, :4] == 1).all()


@pytest.mark.parametrize(("area", "count"), [(16, 2), (15, 1)])
def test_smallest_seed_is_a_least_size(area, count, compiled) -> None:
    foreground = np.full((6, 24), 255, np.uint8)
    contour = np.full((6, 24), 255, np.uint8)
    contour[1:5, 1:9] = 0
    contour[1:5, 12:16] = 0
    contour[4, 15] = 0 if area == 16 else 255
    result = PostProcessor({"foreground": foreground, "contour": contour}, compiled=compiled).run(
        PostParams()
    )
    assert result.count == count
    assert (result.labels > 0).all()  # a dropped seed's pixels go to its neighbours
    gone = result.removed["min_seed_area"]
    assert gone.count == 2 - count
    if gone.count:
        y, x = gone.coordinates(0)
        assert (contour[y, x] == 0).all()
        assert x.min() == 12
        assert len(x) == 15


def test_a_cell_with_only_small_seeds_stays(compiled) -> None:
    foreground = np.zeros((12, 12), np.uint8)
    foreground[2:10, 2:10] = 255
    contour = np.full((12, 12), 255, np.uint8)
    contour[3, 3] = contour[8, 8] = 0
    result = PostProcessor({"foreground": foreground, "contour": contour}, compiled=compiled).run(
        PostParams()
    )
    assert result.count == 1
    assert result.removed["min_seed_area"].count == 1  # two seeds became one object


@pytest.mark.parametrize(
    ("value", "threshold", "kept"),
    [(127, 0.5, False), (128, 0.5, True), (51, 0.2, False), (52, 0.2, True), (255, 1.0, False)],
)
def test_thresholds_are_strict(value, threshold, kept, compiled) -> None:
    maps = {"foreground": np.full((5, 5), value, np.uint8), "contour": np.zeros((5, 5), np.uint8)}
    params = PostParams(foreground_threshold=threshold)
    assert PostProcessor(maps, compiled=compiled).run(params).count == int(kept)


def test_a_threshold_at_a_level_of_the_map_is_that_level() -> None:
    assert [level(k / 255) for k in range(256)] == list(range(256))
    assert level(1 - 0.8) == 51  # 0.19999999999999996, as a slider may count


def test_a_model_without_contours_is_told_apart() -> None:
    processor = PostProcessor({"foreground": np.zeros((4, 4), np.uint8)})
    with pytest.raises(SettingsError, match="distance"):
        processor.run(PostParams())
    assert processor.run(PostParams(split="none")).count == 0
