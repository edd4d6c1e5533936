"""Stages are kept and rerun rightly; regions, stacks, and pictures of every odd kind."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.params import PostParams, build_post_params
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.registry import STAGES, STEPS, Step, stage_of, steps_in_order
from napari_cellseg.core.postprocess.stack import postprocess_stack

CHANGE = st.sampled_from(
    [
        {"foreground_threshold": 0.4},
        {"foreground_threshold": 0.6},
        {"opening": 1},
        {"opening": 0, "closing": 1},
        {"split": "distance"},
        {"split": "contour"},
        {"split": "none"},
        {"split_strength": 0.5},
        {"contour_threshold": 0.4},
        {"contour_threshold": 0.6},
        {"min_seed_area": 3},
        {"fill_holes": False},
        {"fill_holes": True},
        {"growth": 2},
        {"growth": 0},
        {"growth": -1},
        {"min_area": 40},
        {"min_area": 0},
        {"max_area": 300},
        {"edge_objects": "remove"},
        {"edge_objects": "keep"},
    ]
)


def same(one, other) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.count == other.count
    assert one.removed.keys() == other.removed.keys()
    for rule, gone in one.removed.items():
        np.testing.assert_array_equal(gone.pixels, other.removed[rule].pixels)
        np.testing.assert_array_equal(gone.bounds, other.removed[rule].bounds)


@settings(max_examples=25)
@given(changes=st.lists(CHANGE, min_size=2, max_size=8), seed=st.integers(0, 3))
def test_kept_stages_give_what_a_fresh_run_gives(changes, seed, smooth_maps, compiled) -> None:
    maps = smooth_maps(seed, (60, 70))
    kept, params, earlier = PostProcessor(maps, compiled=compiled), PostParams(), []
    for change in changes:
        params = params.replace(**change)
        result = kept.run(params)
        same(result, PostProcessor(maps, compiled=compiled).run(params))
        earlier.append((result.labels, result.labels.copy()))
    for labels, copy in earlier:  # a result is never written to later
        np.testing.assert_array_equal(labels, copy)


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        ([{"growth": 3}, {"growth": 0}, {"growth": -1}, {"growth": 2}], "contour"),
        ([{"growth": 3, "min_area": 200}, {"growth": 0}], "none"),
        ([{"split_strength": 0.5}, {"opening": 1}, {"split": "none"}, {}], "distance"),
        ([{"fill_holes": False}, {"foreground_threshold": 0.6}, {}], "distance"),
    ],
)
def test_no_step_spoils_what_is_kept(changes, way, smooth_maps, compiled) -> None:
    maps = smooth_maps(1, (60, 70))
    kept, params = PostProcessor(maps, compiled=compiled), PostParams(split=way)
    for change in [{}, *changes]:
        same(
            kept.run(params.replace(**change)),
            PostProcessor(maps, compiled=compiled).run(params.replace(**change)),
        )


def test_the_margin_of_a_region_counts_how_far_the_steps_look() -> None:
    params = PostParams(opening=2, closing=3, growth=-4)
    for changes, reach in (
        ({}, 14),
        ({"contour_gap": 5}, 19),
        ({"contour_ends": 10}, 44),
        ({"contour_gap": 5, "split": "distance"}, 14),  # plays no part there
    ):
        changed = params.replace(**changes)
        assert sum(step().reach(changed) for _, step in steps_in_order()) == reach
    processor = PostProcessor({"foreground": np.zeros((400, 400), np.uint8)})
    seen = []
    processor._view.run = lambda state, *_: seen.append(state.crop.rows)
    for changes in ({}, {"opening": 2, "closing": 3, "growth": -4}):
        with pytest.raises(AttributeError):
            processor.run(PostParams(split="none", **changes), (slice(190, 210), slice(190, 210)))
    assert seen[0][0] - seen[1][0] == seen[1][1] - seen[0][1] == 14


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({}, ()),
        ({"foreground_threshold": 0.4}, STAGES),
        ({"foreground_threshold": 0.5005}, ()),  # the same level of a uint8 map
        ({"opening": 1}, STAGES),
        ({"contour_threshold": 0.4}, STAGES[1:]),
        ({"min_seed_area": 3}, STAGES[1:]),
        ({"contour_gap": 2}, STAGES[1:]),
        ({"contour_ends": 9}, STAGES[1:]),
        ({"split": "none"}, STAGES[1:]),
        ({"split_strength": 0.3}, ()),  # plays no part in a split by contour
        ({"fill_holes": False}, STAGES[1:]),
        ({"growth": 1}, STAGES[2:]),
        ({"min_area": 3}, STAGES[3:]),
        ({"edge_objects": "remove"}, STAGES[3:]),
    ],
)
def test_only_the_stages_after_a_change_run(change, stages, smooth_maps) -> None:
    processor = PostProcessor(smooth_maps(0, (40, 40)))
    assert processor.run(PostParams()).stages_run == STAGES
    assert processor.run(PostParams(**change)).stages_run == stages


def test_a_split_by_distance_runs_again_for_its_own_setting_only(smooth_maps) -> None:
    processor, params = PostProcessor(smooth_maps(0, (40, 40))), PostParams(split="distance")
    assert processor.run(params).stages_run == STAGES
    params = params.replace(split_strength=0.3)
    assert processor.run(params).stages_run == STAGES[1:]
    params = params.replace(contour_threshold=0.4, contour_gap=2, min_seed_area=3)
    assert processor.run(params).stages_run == ()


def test_every_field_names_its_stage() -> None:
    stages = [stage_of(field) for field in PostParams.model_fields]
    assert stages == sorted(stages, key=STAGES.index)
    with pytest.raises(KeyError):
        stage_of("no_such_field")


def test_a_new_step_shows_up_in_the_settings(monkeypatch) -> None:
    class Extra(Step):
        class Params(Params):
            extra_setting: int = Field(3, title="Extra", description="A test.")

        stage: ClassVar = "clean"
        place: ClassVar = 9

        def run(self, state, params):
            return state

    STEPS.names()
    monkeypatch.setitem(STEPS._members, "extra", Extra)
    made = build_post_params()
    assert made().extra_setting == 3
    assert made().min_area == 16
    assert list(made.model_fields)[: len(PostParams.model_fields)] == list(PostParams.model_fields)

    class Twice(Extra):
        """Declares the same field again."""

    monkeypatch.setitem(STEPS._members, "twice", Twice)
    with pytest.raises(ValueError, match="extra_setting"):
        build_post_params()


def test_settings_are_documented_and_survive_json() -> None:
    for name, field in PostParams.model_fields.items():
        assert field.title, name
        assert field.description, name
    params = PostParams(min_area=30, split="distance")
    assert PostParams.model_validate_json(params.model_dump_json()) == params
    with pytest.raises(SettingsError, match="min_area"):
        params.replace(min_aera=3)
    with pytest.raises(SettingsError, match="growth"):
        params.replace(growth=21)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"split": "distance"},
        {"split": "none"},
        {"opening": 1, "closing": 1, "growth": 2, "edge_objects": "remove"},
        {"growth": -1, "min_area": 60, "max_area": 900},
    ],
)
@pytest.mark.parametrize("corner", [(0, 0), (130, 141), (200, 222)])
def test_a_region_shows_what_the_whole_picture_shows(changes, corner, compiled) -> None:
    rng = np.random.default_rng(1)
    foreground, contour = np.zeros((300, 322), np.uint8), np.zeros((300, 322), np.uint8)
    y, x = np.indices(foreground.shape)
    for cy in range(0, 300, 22):
        for cx in range(0, 322, 22):  # cells that touch here and there
            a, b = cy + rng.integers(-3, 4), cx + rng.integers(-3, 4)
            d2, r = (y - a) ** 2 + (x - b) ** 2, int(rng.integers(2, 13))
            contour[(foreground > 0) & (d2 <= r * r)] = 255
            foreground[d2 <= r * r] = 255
    foreground[:, 110:113] = foreground[190:193] = 0  # chains of cells end somewhere
    maps = {"foreground": foreground, "contour": contour}
    processor = PostProcessor(maps, compiled=compiled)
    params = PostParams(**changes)
    region = tuple(slice(c, c + 100) for c in corner)
    whole, part = processor.run(params).labels[region], processor.run(params, region)
    assert part.labels.shape == whole.shape
    assert part.labels.base is None  # does not hold on to the margin
    assert part.region == tuple(slice(c, c + s) for c, s in zip(corner, whole.shape, strict=True))
    pairs = {
        (a, b) for a, b in zip(whole.ravel().tolist(), part.labels.ravel().tolist(), strict=True)
    }
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert part.count == len(pairs) - ((0, 0) in pairs)
    assert (0, 0) in pairs
    for rule, gone in part.removed.items():
        everything = processor.run(params).removed[rule].within(region)
        assert gone.count == everything.count, rule
        assert sorted(gone.pixels.tolist()) == sorted(everything.pixels.tolist())


def test_a_cell_that_a_region_cuts_is_not_called_small(compiled) -> None:
    foreground = np.zeros((400, 400), np.uint8)
    foreground[200, :] = 255  # as long as the picture
    processor = PostProcessor({"foreground": foreground}, compiled=compiled)
    params = PostParams(split="none", min_area=400, edge_objects="remove")
    assert processor.run(params.replace(edge_objects="keep")).count == 1
    region = (slice(190, 210), slice(190, 210))
    assert processor.run(params, region).count == 1  # the border of the picture is out of sight
    assert processor.run(params).count == 0


@pytest.mark.parametrize("turns", range(4))
def test_a_seed_that_a_region_cuts_is_not_called_small(turns, compiled) -> None:
    foreground, contour = np.zeros((2, 400, 400), np.uint8)
    foreground[199:202, 100:256] = contour[199:202, 100:256] = 255
    contour[199:202, 100:145] = 0  # 9 of its pixels lie within the margin, which begins at 142
    contour[199:202, 248:256] = 0
    maps = {"foreground": np.rot90(foreground, turns), "contour": np.rot90(contour, turns)}
    processor, region = PostProcessor(maps, compiled=compiled), (slice(190, 210), slice(190, 210))
    part, whole = processor.run(PostParams(), region), processor.run(PostParams())
    assert part.count == len(np.unique(whole.labels[region])) - 1 == 2


def test_a_run_that_fails_leaves_nothing_outdated(smooth_maps) -> None:
    maps = {"foreground": smooth_maps(0, (40, 40))["foreground"]}
    processor, params = PostProcessor(maps), PostParams(split="none")
    processor.run(params)
    params = params.replace(foreground_threshold=0.4)
    with pytest.raises(SettingsError):
        processor.run(params.replace(split="contour"))
    same(processor.run(params), PostProcessor(maps).run(params))


def test_regions_keep_their_stages_too(smooth_maps) -> None:
    processor = PostProcessor(smooth_maps(0, (200, 200)))
    region = (slice(50, 90), slice(50, 90))
    assert processor.run(PostParams(), region).stages_run == STAGES
    assert processor.run(PostParams(min_area=30), region).stages_run == STAGES[3:]
    assert processor.run(PostParams()).stages_run == STAGES
    assert processor.run(PostParams(min_area=30), (slice(0, 9), slice(0, 9))).stages_run == STAGES


@pytest.mark.parametrize("split", ["contour", "distance", "none"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3, 64), (5, 65)])
@pytest.mark.parametrize("foreground", [0, 255])
@pytest.mark.parametrize("contour", [0, 255])
def test_pictures_of_odd_kinds(split, shape, foreground, contour, compiled) -> None:
    maps = {
        "foreground": np.full(shape, foreground, np.uint8),
        "contour": np.full(shape, contour, np.uint8),
    }
    params = PostParams(split=split, min_area=0, opening=1, closing=1, growth=1)
    result = PostProcessor(maps, compiled=compiled).run(params)
    assert result.labels.dtype == np.int32
    assert result.labels.shape == shape
    assert result.labels.flags.c_contiguous
    assert result.labels.flags.writeable
    assert (result.labels == (1 if foreground else 0)).all()
    assert PostProcessor(maps, compiled=compiled).run(params.replace(growth=-1)).labels.max() == (
        1 if foreground else 0
    )


def test_seventy_thousand_objects(compiled) -> None:
    foreground = np.zeros((1200, 1200), np.uint8)
    for dy in range(3):
        for dx in range(3):
            foreground[1 + dy :: 4, 1 + dx :: 4] = 255
    maps = {"foreground": foreground, "contour": np.zeros_like(foreground)}
    result = PostProcessor(maps, compiled=compiled).run(PostParams(min_area=9, min_seed_area=9))
    assert result.count == 90_000 == result.labels.max()
    none = PostProcessor(maps, compiled=compiled).run(PostParams(min_area=10, min_seed_area=9))
    assert none.count == 0
    assert none.removed["min_area"].count == 90_000


@pytest.mark.parametrize(
    ("maps", "word"),
    [
        ({"contour": np.zeros((3, 3), np.uint8)}, "foreground"),
        ({"foreground": np.zeros((3, 3), np.float32)}, "uint8"),
        ({"foreground": np.zeros((2, 3, 3), np.uint8)}, "uint8"),
        ({"foreground": np.zeros((3, 3), np.uint8), "contour": np.zeros((3, 4), np.uint8)}, "size"),
    ],
)
def test_wrong_maps_are_refused(maps, word) -> None:
    with pytest.raises(ValueError, match=word):
        PostProcessor(maps)


def test_maps_are_only_read_and_may_be_views(smooth_maps, compiled) -> None:
    maps = {name: image[::2, 5:-5] for name, image in smooth_maps(2, (120, 150)).items()}
    copies = {name: image.copy() for name, image in maps.items()}
    for image in maps.values():
        image.flags.writeable = False
    one = PostProcessor(maps, compiled=compiled).run(PostParams())
    same(one, PostProcessor(copies, compiled=compiled).run(PostParams()))


def test_a_stack_has_unique_numbers(smooth_maps) -> None:
    planes = [smooth_maps(seed, (50, 60)) for seed in range(6)]
    stacked = {
        name: np.stack([plane[name] for plane in planes]).reshape(2, 3, 50, 60)
        for name in ("foreground", "contour")
    }
    params = PostParams(min_area=40)
    result = postprocess_stack(Prediction(stacked, "TZYX"), params)
    offset = 0
    for index, plane in zip(np.ndindex(2, 3), planes, strict=True):
        single = PostProcessor(plane).run(params)
        expected = np.where(single.labels > 0, single.labels + offset, 0)
        np.testing.assert_array_equal(result.labels[index], expected)
        assert result.removed[index]["min_area"].count == single.removed["min_area"].count
        offset += single.count
    assert result.count == offset == result.labels.max()
    assert result.labels.dtype == np.int32
    counts = result.removed_counts()
    assert counts["min_area"] == sum(rules["min_area"].count for rules in result.removed.values())


def test_a_single_plane_is_a_stack_of_its_own(smooth_maps) -> None:
    maps = smooth_maps(0, (40, 50))
    result = postprocess_stack(Prediction(maps, "YX"), PostParams())
    np.testing.assert_array_equal(result.labels, PostProcessor(maps).run(PostParams()).labels)
