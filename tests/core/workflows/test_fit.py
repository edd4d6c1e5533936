"""The fit of the post-processing: better where it can be, unchanged where nothing is proven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.fitting.moves import Moves
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.metrics import score
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.progress import finish
from napari_cellseg.core.workflows.fit import FitCase, Reviewed, find_cases, fit

SHAPE = (150, 150)


def discs(radius):
    """Labels (150, 150) of 25 discs of some radius on a grid."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    near = ((y % 30 - 15) ** 2 + (x % 30 - 15) ** 2) < radius**2
    return np.where(near, y // 30 * 5 + x // 30 + 11, 0).astype(np.int32)


def halos(truth=None):
    """Maps in which cells are certain and wide halos around them rather likely."""
    foreground = np.where(discs(13) > 0, 165, 10)
    foreground[discs(8) > 0] = 240
    return {"foreground": foreground.astype(np.uint8), "contour": np.zeros(SHAPE, np.uint8)}


START = PostParams(split="none", fill_holes=False, max_area=9000)


def collected(job):
    """Run a job to its end; return its steps and its result."""
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            return steps, end.value


def test_finds_better_settings_and_leaves_the_others_alone():
    truth, prediction = discs(8), Prediction(halos(), "YX")
    area = np.zeros(SHAPE, bool)
    area[:, :90] = True
    result = finish(fit(Reviewed(prediction, truth, area), START))
    assert result.worthwhile
    assert list(result.changes) == ["foreground_threshold"]
    assert 165 / 255 <= result.params.foreground_threshold < 240 / 255
    assert result.objects == 15
    assert result.before.mean < 0.5
    assert result.after.mean == 1.0
    # also where nothing was reviewed
    labels = PostProcessor(prediction.maps).run(result.params).labels
    assert score(truth[:, 90:], labels[:, 90:]).pq == 1.0
    assert "foreground_threshold  0.5 -> " in result.text()
    assert result.as_dict()["post"] == result.params.model_dump(mode="json")


def test_scores_are_those_of_the_metrics():
    prediction, truth = Prediction(halos(), "YX"), discs(10)
    result = finish(fit(Reviewed(prediction, truth), START))
    for params, found in ((START, result.before), (result.params, result.after)):
        expected = score(truth, PostProcessor(prediction.maps).run(params).labels)
        assert found.pq == pytest.approx(expected.pq)
        assert found.ap == pytest.approx(expected.ap[0])


def test_right_settings_stay():
    start = START.replace(foreground_threshold=0.8)
    result = finish(fit(Reviewed(Prediction(halos(), "YX"), discs(8)), start))
    assert result.params == start
    assert not result.worthwhile
    assert result.before == result.after
    assert "present ones are kept" in result.text()


def test_a_gain_on_a_few_objects_is_not_believed():
    truth, start = discs(8), START.replace(foreground_threshold=0.8)
    ids = np.unique(truth)[1:]
    for number in ids[:2]:  # two of 25 are seen only faintly
        truth[truth == number] = -number
    maps = halos()
    maps["foreground"][truth < 0] = 190
    maps["foreground"][(maps["foreground"] == 165) & (discs(13) % 3 > 0)] = 30
    truth = np.abs(truth)
    result = finish(fit(Reviewed(Prediction(maps, "YX"), truth), start))
    assert result.before.mean < 0.95
    assert not result.worthwhile


def test_what_lies_outside_of_the_area_has_no_say():
    area = np.zeros(SHAPE, bool)
    area[:, :90] = True
    known = discs(8)
    other = known.copy()
    other[:, 90:] = np.random.default_rng(0).integers(100, 300, other[:, 90:].shape)
    prediction = Prediction(halos(), "YX")
    first, second = (
        finish(fit(Reviewed(prediction, truth, area), START)) for truth in (known, other)
    )
    assert first == second


def test_accepted_objects_are_enough():
    truth = discs(8)
    accepted = [int(one) for one in np.unique(truth)[1::2]]
    result = finish(fit(Reviewed(Prediction(halos(), "YX"), truth, accepted=accepted), START))
    assert result.objects == len(accepted)
    assert result.after.mean == 1.0
    assert result.worthwhile


def test_touching_cells_are_split_and_specks_removed():
    """Pairs of overlapping discs, and specks: the split and the smallest area must both change."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    left, right = ((y % 30 - 15) ** 2 + (x % 30 - at) ** 2 < 49 for at in (9, 21))
    truth = np.where(left | right, y // 30 * 10 + x // 15 + 1, 0).astype(np.int32)
    foreground = np.where(truth > 0, 250, 0).astype(np.uint8)
    foreground[::30, ::30] = 250
    prediction = Prediction({"foreground": foreground}, "YX")
    start = PostParams(split="none", min_area=0)
    result = finish(fit(Reviewed(prediction, truth), start))
    assert result.params.split == "distance"
    assert result.params.min_area > 1
    assert result.after.ap == 1.0


def test_two_changes_that_help_only_together_are_found():
    """Faint touching cells with certain middles: the threshold and the split must both change.

    With either alone no cell is found, so a search that changes one thing at a time stays.
    """
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    reach = np.hypot(abs(y % 30 - 15) - 6, abs(x % 30 - 15) - 6)  # of four middles
    truth = np.where(reach < 7, y // 15 * 10 + x // 15 + 1, 0).astype(np.int32)
    foreground = np.where(truth > 0, 90, 0).astype(np.uint8)
    foreground[reach < 1] = 240
    maps = {"foreground": foreground, "contour": np.zeros(SHAPE, np.uint8)}
    start = PostParams(split="contour", min_area=0)
    for change in ({"foreground_threshold": 0.3}, {"split": "distance"}):
        labels = PostProcessor(maps).run(start.replace(**change)).labels
        assert score(truth, labels).ap[0] == 0
    steps, result = collected(fit(Reviewed(Prediction(maps, "YX"), truth), start))
    assert result.params.split == "distance"
    assert result.params.foreground_threshold < 90 / 255
    assert result.after.ap == 1.0
    assert all(step.done <= step.total for step in steps[1:])


def test_every_way_of_splitting_is_tried_but_those_without_a_map():
    areas = np.array([50, 60])
    start = PostParams(split="distance")
    with_contours = Moves("maps", True, areas).ways(start)
    assert [way["split"] for way in with_contours] == ["distance", "contour", "none"]
    assert [way["split"] for way in Moves("maps", False, areas).ways(start)] == ["distance", "none"]
    assert Moves("instances", False, areas).ways(start) == [{}]


def test_a_stack_and_several_images_count_together():
    stack = np.stack([halos()["foreground"]] * 2)
    truth = np.stack([discs(8)] * 2)
    cases = [
        Reviewed(Prediction({"foreground": stack}, "ZYX"), truth),
        Reviewed(Prediction({"foreground": stack[0]}, "YX"), truth[0]),
    ]
    result = finish(fit(cases, START))
    assert result.objects == 75
    assert result.after.mean == 1.0


def test_candidates_of_a_detection_network():
    """Every second candidate is no cell, and has a low score."""
    centres = np.array([(y + 15, x) for y in range(0, 150, 30) for x in range(8, 150, 15)])
    boxes = np.concatenate([centres - 6, centres + 6], axis=1).astype(np.float32)
    scores = np.where(np.arange(len(boxes)) % 2, 0.6, 0.95).astype(np.float32)
    masks = np.full((len(boxes), 14, 14), 255, np.uint8)
    found = Instances.of(SHAPE, boxes, scores, masks)
    prediction = Prediction({}, "YX", instances={(): found})
    truth = PostProcessor(found).run(PostParams(score_threshold=0.8)).labels
    result = finish(fit(Reviewed(prediction, truth), PostParams()))
    assert list(result.changes) == ["score_threshold"]
    assert 0.6 < result.params.score_threshold < 0.95
    assert result.after.mean == 1.0


def test_it_can_be_cancelled_after_every_evaluation(monkeypatch):
    calls = []
    run = PostProcessor.run
    monkeypatch.setattr(
        PostProcessor, "run", lambda self, *args: calls.append(1) or run(self, *args)
    )
    job = fit(Reviewed(Prediction(halos(), "YX"), discs(8)), START)
    next(job)
    assert not calls
    for expected in (2, 3, 4):  # the start, and one more for every step
        step = next(job)
        assert len(calls) == expected
        assert step.done == expected <= step.total
        assert set(step.metrics) == {"before", "best"}
    job.close()
    assert len(calls) == 4


def test_files_belong_together_by_name():
    images = [Path("a/x.ome.tif"), Path("a/y.png")]
    labels = [Path("b/y.tif"), Path("b/x_labels.tif"), Path("b/other.tif")]
    assert find_cases(images, labels) == [
        FitCase(images[0], labels[1]),
        FitCase(images[1], labels[0]),
    ]
    area = Path("c/y_reviewed.png")
    assert find_cases(images, labels, [area]) == [FitCase(images[1], labels[0], area)]
    with pytest.raises(DataError, match="no labels for the image"):
        find_cases(images, labels[:1])
    with pytest.raises(DataError, match="None of the images has a reviewed area"):
        find_cases(images, labels, [Path("c/z.tif")])
