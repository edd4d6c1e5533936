"""A run under other settings: same labels as the workflow's, locks kept, removals told."""

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.stack import postprocess_stack
from napari_cellseg.core.progress import finish
from napari_cellseg.core.provenance import RunRecord
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.document import Document
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


def draw(document, index, rows, columns, label):
    """Give a rectangle of one plane to an object, as a person would."""
    after = np.full((rows.stop - rows.start, columns.stop - columns.start), label, np.int32)
    return document.edit("Draw", index, [Edit((rows, columns), after)])


def erase(document, label):
    """Erase an object, as napari does: it tells only afterwards."""
    pixels = Delta.between(document.labels, np.where(document.labels == label, 0, document.labels))
    pixels.write(document.labels)
    return document.record("Erase", pixels)


def move(run, document, post):
    """Return the run under other settings, after the document has taken it up."""
    decided = document.decided()
    new = finish(run.relabelled(post, decided))
    pixels = Delta.between(decided.labels, new.labels)
    document.replace("Settings", new.labels.copy(), new.labels, pixels, together=True)
    return new


def bring_back(run, document, rule, index, y, x):
    """Make an object of what `rule` removed at a pixel; return its number."""
    rows, columns = run.removed_at(rule, index, y, x)
    label = document.new_id()
    labels = document.labels.copy()
    plane = labels[index]
    plane[rows, columns] = np.where(plane[rows, columns] == 0, label, plane[rows, columns])
    whole = tuple(slice(0, n) for n in plane.shape)
    document.edit("Bring back", index, [Edit.of(document.plane(index), whole, plane)])
    return label


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
    document = Document(hidden.labels.copy())
    label = bring_back(hidden, document, "min_visible", (), 5, 15)
    back = finish(hidden.relabelled(PostParams(min_visible=0.9), document.decided()))
    assert back.labels[5, 15] == label
    assert back.removed_counts()["min_visible"] == 0


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
    document = Document(run.labels.copy())
    draw(document, (), slice(5, 20), slice(30, 36), 777)  # painted over several objects
    erased = run.labels == 2
    erase(document, 2)
    painted = document.labels == 777
    assert painted.any()
    assert erased.any()
    for post in (PostParams(min_area=60), PostParams(foreground_threshold=0.9), PostParams()):
        run = move(run, document, post)
        np.testing.assert_array_equal(run.labels, document.labels)
        np.testing.assert_array_equal(run.labels == 777, painted)
        assert not run.labels[erased].any()
        assert 777 in run.locks.ids


def test_objects_keep_their_numbers_once_something_was_decided():
    run = make_run(prediction())
    document = Document(run.labels.copy())
    label = int(run.labels.max())
    document.decide("Accept", {label: document.states[label].edited()})
    fewer = move(run, document, PostParams(min_area=60))
    gone = set(np.unique(run.labels)) - set(np.unique(fewer.labels))
    assert gone
    for kept in np.unique(fewer.labels)[1:]:
        np.testing.assert_array_equal(fewer.labels == kept, run.labels == kept)
    again = move(fewer, document, PostParams())
    np.testing.assert_array_equal(again.labels > 0, run.labels > 0)
    assert not gone & set(np.unique(again.labels)), "numbers are not given twice"
    for kept in np.unique(fewer.labels)[1:]:
        np.testing.assert_array_equal(again.labels == kept, run.labels == kept)


def test_a_removed_object_is_brought_back_for_good():
    run = finish(make_run(prediction()).relabelled(PostParams(min_area=50)))
    document = Document(run.labels.copy())
    gone = run.still_removed("min_area")[()]
    before = run.removed_counts()["min_area"]
    y, x = (int(v[0]) for v in gone.coordinates(0))
    assert run.labels[y, x] == 0
    assert run.removed_at("min_area", (), 0, 0) is None
    label = bring_back(run, document, "min_area", (), y, x)
    assert label == run.labels.max() + 1
    back = move(run, document, PostParams(min_area=50))
    np.testing.assert_array_equal(
        np.stack(np.nonzero(back.labels == label)), np.stack(gone.coordinates(0))
    )
    assert back.removed_counts()["min_area"] == before - 1
    assert back.removed_at("min_area", (), y, x) is None
    stricter = move(back, document, PostParams(min_area=1000))
    np.testing.assert_array_equal(stricter.labels == label, back.labels == label)
    assert stricter.locks.ids == (label,)
    document.undo()
    document.undo()
    np.testing.assert_array_equal(document.labels, run.labels)


def test_bringing_back_in_a_stack_touches_its_own_plane_only():
    run = finish(make_run(prediction((3, 60, 80))).relabelled(PostParams(min_area=50)))
    document = Document(run.labels.copy())
    gone = run.still_removed("min_area")[(1,)]
    y, x = (int(v[0]) for v in gone.coordinates(0))
    label = bring_back(run, document, "min_area", (1,), y, x)
    back = move(run, document, PostParams(min_area=50))
    assert back.labels[1, y, x] == label > run.labels.max()
    assert set(np.nonzero(back.labels == label)[0]) == {1}
    assert back.removed_counts()["min_area"] == run.removed_counts()["min_area"] - 1


def test_part_agrees_with_the_whole_including_locks():
    run = make_run(prediction())
    document = Document(run.labels.copy())
    draw(document, (), slice(0, 3), slice(0, 40), 900)
    run = move(run, document, PostParams())
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


def test_a_run_of_the_same_part_flows_around_what_was_decided():
    document = Document(make_run(prediction(seed=1)).labels.copy())
    draw(document, (), slice(10, 20), slice(10, 20), 500)
    merged = move(make_run(prediction(seed=2)), document, PostParams())
    np.testing.assert_array_equal(merged.labels == 500, document.labels == 500)
    assert (merged.labels == 500).sum() == 100


def test_a_remembered_run_takes_up_the_labels_on_screen():
    run = make_run(prediction())
    bare = run.without_labels()
    assert bare.labels.size == 0
    document = Document(run.labels.copy())
    draw(document, (), slice(0, 3), slice(0, 40), 900)
    whole = bare.with_labels(document.decided())
    np.testing.assert_array_equal(whole.labels, document.labels)
    assert whole.locks.ids == document.states.locked
    assert whole.planes is run.planes
    assert whole.recipe == run.recipe


def test_objects_of_a_run_are_counted_whatever_their_numbers():
    run = make_run(prediction())
    document = Document(run.labels.copy())
    draw(document, (), slice(0, 3), slice(0, 40), 2**31 - 1)
    again = move(run, document, PostParams())
    assert (again.labels == 2**31 - 1).sum() == 120
    assert again.record.objects == np.unique(again.labels).size - 1
    assert (again.labels >= 0).all()


def test_run_as_labels_has_axes_and_pixel_size():
    labels = make_run(prediction((3, 60, 80))).as_labels()
    assert labels.axes == "ZYX"
    assert labels.pixel_size == (0.5, 0.5)
