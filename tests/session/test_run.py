"""A run under other settings: same labels as the workflow's, locks kept, removals told."""

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.stack import postprocess_stack
from napari_cellseg.core.progress import finish
from napari_cellseg.core.provenance import RunRecord
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.session.locks import Locks
from napari_cellseg.session.planes import Planes
from napari_cellseg.session.run import Run


def prediction(shape=(60, 80), seed=0):
    """Squares of several sizes, brighter in the middle, and an empty contour map."""
    rng = np.random.default_rng(seed)
    maps = {"foreground": np.zeros(shape, np.uint8), "contour": np.zeros(shape, np.uint8)}
    for index in np.ndindex(shape[:-2]):
        plane = maps["foreground"][index]
        for row in range(4, shape[-2] - 12, 14):
            for column in range(4, shape[-1] - 12, 14):
                side = int(rng.integers(3, 11))
                plane[row : row + side, column : column + side] = rng.integers(100, 255)
    axes = "TZYX"[4 - len(shape) :]
    return Prediction(maps, axes)


def make_run(predicted, mask=None):
    shape = predicted.shape
    image = Image(np.zeros(shape, np.uint8), "TZYX"[4 - len(shape) :], pixel_size=(0.5, 0.5))
    recipe = Recipe()
    record = RunRecord.of(image, recipe, device="cpu", objects=0, seconds=1.0, started="now")
    first = Run(
        image, recipe, record, Planes(predicted), np.zeros(shape, np.int32), {}, Locks.none(), mask
    )
    return finish(first.relabelled(recipe.post))


@pytest.mark.parametrize("shape", [(60, 80), (3, 60, 80), (2, 2, 40, 50)])
def test_labels_are_those_of_the_workflow(shape):
    predicted = prediction(shape)
    run = make_run(predicted)
    for post in (PostParams(), PostParams(min_area=40), PostParams(foreground_threshold=0.7)):
        whole = postprocess_stack(predicted, post)
        again = finish(run.relabelled(post))
        np.testing.assert_array_equal(again.labels, whole.labels)
        assert again.removed_counts() == dict(sorted(whole.removed_counts().items()))
        assert again.record.objects == whole.count
        assert again.recipe.post == post
        assert again.record.recipe["post"] == post.model_dump(mode="json")


def test_objects_found_one_by_one_follow_the_settings_too():
    boxes = np.float32([[2, 2, 12, 12], [2, 8, 12, 20], [30, 30, 36, 36]])
    masks = np.full((3, 8, 8), 255, np.uint8)
    found = Instances.of((60, 80), boxes, np.float32([0.9, 0.8, 0.6]), masks)
    predicted = Prediction({}, "YX", instances={(): found})
    run = make_run(predicted)
    assert run.planes.shape == (60, 80)
    for post, count in ((PostParams(), 3), (PostParams(score_threshold=0.7), 2)):
        again = finish(run.relabelled(post))
        assert again.labels.max() == again.record.objects == count
        region = (slice(0, 14), slice(0, 24))
        part = run.part(post, (), region)
        np.testing.assert_array_equal(part > 0, again.labels[region] > 0)
    hidden = finish(run.relabelled(PostParams(min_visible=0.9)))
    assert hidden.removed_counts()["min_visible"] == 1
    restored = hidden.restored("min_visible", (), 5, 15)
    assert finish(restored.relabelled(PostParams(min_visible=0.9))).labels[5, 15] > 0


def test_planes_beyond_the_kept_ones_are_worked_out_again(monkeypatch):
    from napari_cellseg.session import planes

    monkeypatch.setattr(planes, "_KEPT_PIXELS", 60 * 80 * 2)
    predicted = prediction((5, 60, 80))
    run = make_run(predicted)
    post = PostParams(min_area=30)
    np.testing.assert_array_equal(
        finish(run.relabelled(post)).labels, postprocess_stack(predicted, post).labels
    )


def test_edited_objects_are_identical_under_every_setting():
    run = make_run(prediction())
    edited = run.labels.copy()
    edited[5:20, 30:36] = 777  # painted over several objects
    edited[run.labels == 2] = 0  # erased
    for post in (PostParams(min_area=60), PostParams(foreground_threshold=0.9), PostParams()):
        run = finish(run.relabelled(post, edited))
        np.testing.assert_array_equal(run.labels == 777, edited == 777)
        assert not run.labels[edited_zone(edited, run)].any()
        edited = None if edited is None else run.labels.copy()
    assert 777 in run.locks.ids


def edited_zone(edited, run):
    zone = np.zeros(run.labels.shape, bool)
    erased = run.locks.positions[run.locks.values == 0]
    zone.reshape(-1)[erased] = True
    assert zone.any()
    return zone


def test_a_removed_object_is_brought_back_for_good():
    run = finish(make_run(prediction()).relabelled(PostParams(min_area=50)))
    gone = run.still_removed("min_area")[()]
    before = run.removed_counts()["min_area"]
    y, x = (int(v[0]) for v in gone.coordinates(0))
    assert run.labels[y, x] == 0
    assert run.restored("min_area", (), 0, 0) is None
    back = finish(run.restored("min_area", (), y, x).relabelled(PostParams(min_area=50)))
    label = back.labels[y, x]
    assert label > 0
    np.testing.assert_array_equal(
        np.stack(np.nonzero(back.labels == label)), np.stack(gone.coordinates(0))
    )
    assert back.removed_counts()["min_area"] == before - 1
    stricter = finish(back.relabelled(PostParams(min_area=1000)))
    np.testing.assert_array_equal(stricter.labels == label, back.labels == label)
    assert stricter.locks.ids == (label,)


def test_restoring_in_a_stack_touches_its_own_plane_only():
    run = finish(make_run(prediction((3, 60, 80))).relabelled(PostParams(min_area=50)))
    gone = run.still_removed("min_area")[(1,)]
    y, x = (int(v[0]) for v in gone.coordinates(0))
    back = finish(run.restored("min_area", (1,), y, x).relabelled(PostParams(min_area=50)))
    label = back.labels[1, y, x]
    assert label > run.labels.max()
    assert set(np.nonzero(back.labels == label)[0]) == {1}


def test_part_agrees_with_the_whole_including_locks():
    run = make_run(prediction())
    edited = run.labels.copy()
    edited[0:3, 0:40] = 900
    run = finish(run.relabelled(PostParams(), edited))
    region = (slice(0, 45), slice(10, 60))
    part = run.part(PostParams(min_area=30), (), region)
    whole = finish(run.relabelled(PostParams(min_area=30))).labels[region]
    np.testing.assert_array_equal(part > 0, whole > 0)
    np.testing.assert_array_equal(part == 900, whole == 900)


def test_only_objects_in_the_drawn_region_are_kept():
    mask = np.zeros((60, 80), bool)
    mask[:, :40] = True
    run = make_run(prediction(), mask)
    every = make_run(prediction())
    kept = np.unique(run.labels)
    for label in np.unique(every.labels)[1:]:
        inside = (every.labels == label)[:, :40].sum() * 2 >= (every.labels == label).sum()
        assert (label in kept) == inside


def test_a_run_of_the_same_part_inherits_the_locks():
    old = make_run(prediction(seed=1))
    edited = old.labels.copy()
    edited[10:20, 10:20] = 500
    merged = finish(make_run(prediction(seed=2)).inheriting(old, edited))
    np.testing.assert_array_equal(merged.labels == 500, edited == 500)


def test_run_as_labels_has_axes_and_pixel_size():
    labels = make_run(prediction((3, 60, 80))).as_labels()
    assert labels.axes == "ZYX"
    assert labels.pixel_size == (0.5, 0.5)
