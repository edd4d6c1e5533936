"""Evaluation: which images count, what is written, and that scores come from `segment` itself."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import tifffile

from napari_cellseg.core.errors import DataError, ImageError, ModelError
from napari_cellseg.core.metrics import THRESHOLDS, score
from napari_cellseg.core.progress import finish
from napari_cellseg.core.workflows.evaluate import evaluate, evaluate_labels


def discs(seed: int) -> np.ndarray:
    """Labels (64, 96) with three discs at seeded places."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :96]
    labels = np.zeros((64, 96), np.uint16)
    for number, column in enumerate((16, 48, 80), start=1):
        row, shift = rng.integers(14, 50), rng.integers(-4, 5)
        labels[(y - row) ** 2 + (x - column - shift) ** 2 < 81] = 10 * number
    return labels


@pytest.fixture
def data(tmp_path):
    """A data folder of four images; two of group "a" and one of "b" are in its part "val"."""
    folder = tmp_path / "set"
    for place in ("images", "labels"):
        (folder / place).mkdir(parents=True)
    for seed, name in enumerate(("one", "two", "three", "four")):
        labels = discs(seed)
        image = np.where(labels > 0, 180, 20).astype(np.uint8)
        tifffile.imwrite(folder / "images" / f"{name}.tif", image)
        tifffile.imwrite(folder / "labels" / f"{name}.tif", labels)
    split = {"train": ["four"], "val": ["one", "two", "three"]}
    (folder / "split.json").write_text(json.dumps(split))
    (folder / "groups.json").write_text(json.dumps({"one": "a", "two": "a", "three": "b"}))
    return folder


@pytest.fixture
def predicted(data, tmp_path):
    """Labels made elsewhere: "one" right, "two" without one of three discs, "three" empty."""
    folder = tmp_path / "predicted"
    folder.mkdir()
    for seed, name in enumerate(("one", "two", "three")):
        labels = discs(seed)
        if name == "two":
            labels[labels == 20] = 0
        if name == "three":
            labels[:] = 0
        suffix = "_labels" if name == "two" else ""
        tifffile.imwrite(folder / f"{name}{suffix}.tif", labels)
    return folder


def test_labels_from_elsewhere_are_scored_by_image_group_and_overall(data, predicted):
    result = finish(evaluate_labels(predicted, [data]))
    assert {one.name: round(one.scores.ap[0], 4) for one in result.images} == {
        "one": 1.0,
        "two": 0.6667,
        "three": 0.0,
    }
    groups = result.groups()
    assert groups["a"]["ap50"] == pytest.approx((1 + 2 / 3) / 2)
    assert (groups["a"]["images"], groups["b"]["ap50"]) == (2, 0.0)
    overall = result.overall()
    assert overall["ap50"] == pytest.approx((1 + 2 / 3) / 3)
    assert overall["pooled_ap50"] == pytest.approx(5 / 9)


def test_part_none_takes_every_image_and_a_list_of_files_will_do(data, predicted):
    files = [*predicted.iterdir(), data / "labels" / "four.tif"]
    result = finish(evaluate_labels(files, [data], part=None))
    assert {one.name for one in result.images} == {"one", "two", "three", "four"}
    assert result.groups()["set"]["ap50"] == 1.0  # "four" has no group of its own


def test_a_folder_without_split_is_taken_whole(data, predicted):
    (data / "split.json").unlink()
    with pytest.raises(DataError, match="no label file for 1 of 4 images, such as 'four'"):
        finish(evaluate_labels(predicted, [data]))


def test_problems_are_named(data, predicted, tmp_path):
    with pytest.raises(DataError, match="No data folder"):
        finish(evaluate_labels(predicted, []))
    with pytest.raises(DataError, match="no folder"):
        finish(evaluate_labels(tmp_path / "missing", [data]))
    with pytest.raises(DataError, match="'test'"):
        finish(evaluate_labels(predicted, [data], part="test"))
    tifffile.imwrite(predicted / "one.tif", discs(0)[:32])
    with pytest.raises(DataError, match=r"'one' cannot be scored.*shape"):
        finish(evaluate_labels(predicted, [data]))
    (predicted / "one.tif").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"one\.tif"):
        finish(evaluate_labels(predicted, [data]))


def test_table_csv_and_json_say_the_same(data, predicted, tmp_path):
    result = finish(evaluate_labels(predicted, [data]))
    lines = result.table().splitlines()
    assert [line.split()[0] for line in lines] == ["group", "a", "b", "all"]
    assert lines[1].split()[1:3] == ["2", "0.833"]
    assert lines[-1].split()[-2:] == ["9", "5"]
    assert len({len(line) for line in lines}) == 1
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    content = json.loads(result.to_json())
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    for row, image in zip(rows, content["images"], strict=True):
        assert float(row["ap50"]) == image["ap50"]
        assert {f"ap{round(100 * t)}" for t in THRESHOLDS} <= set(row)
    assert content["overall"]["pooled_ap50"] == result.overall()["pooled_ap50"]
    assert content["recipe"] is None
    result.save(tmp_path / "new" / "folder")
    assert (tmp_path / "new/folder/evaluation.csv").read_text() == result.to_csv()
    assert (tmp_path / "new/folder/evaluation.json").read_text() == result.to_json()


def test_specks_count_on_neither_side(data, predicted):
    """One of 25 px in the truth that nobody finds, one of 24 px that is found and is not there."""
    truth, found = discs(0), discs(0)
    truth[:5, :5], found[-4:, -6:] = 7, 9
    tifffile.imwrite(data / "labels" / "one.tif", truth)
    tifffile.imwrite(predicted / "one.tif", found)

    def of_one(smallest):
        result = finish(evaluate_labels(predicted, [data], smallest=smallest))
        scores = result.images[0].scores
        return result, scores.ap[0], scores.n_true, scores.n_pred

    assert of_one(0)[1:] == (3 / 5, 4, 4)
    assert of_one(24)[1:] == (3 / 5, 4, 4)
    assert of_one(25)[1:] == (3 / 4, 4, 3)
    result, *values = of_one(26)
    assert values == [1.0, 3, 3]
    assert result.table().splitlines()[-1] == "Objects of fewer than 26 px count on neither side."
    assert json.loads(result.to_json())["smallest"] == 26
    assert result.images[1].scores.ap[0] == pytest.approx(2 / 3)


def test_one_group_needs_no_line_for_all(data, predicted):
    (data / "groups.json").unlink()
    lines = finish(evaluate_labels(predicted, [data])).table().splitlines()
    assert [line.split()[0] for line in lines] == ["group", "set"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A tiny network with random weights, as a model bundle."""
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.models.registry import build_model
    from napari_cellseg.core.zoo.bundle import save_bundle
    from napari_cellseg.core.zoo.card import Card

    torch.manual_seed(0)
    params = {"width": "small"}
    network = build_model("attention-unet", params)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_bundle(folder, network, Card(name="tiny", architecture="attention-unet", params=params))
    return folder


def recorded(run, steps):
    """Run a workflow to its end, keeping its steps."""

    def keeping():
        while True:
            try:
                steps.append(next(run))
            except StopIteration as stop:
                return stop.value
            yield steps[-1]

    return finish(keeping())


def test_scores_are_those_of_the_labels_that_segment_makes(data, bundle):
    from napari_cellseg.core.reading import read_image
    from napari_cellseg.core.recipe import Recipe
    from napari_cellseg.core.workflows.segment import segment
    from napari_cellseg.core.zoo.store import find_model

    entry = find_model(bundle)
    recipe = Recipe.for_model(entry.card, entry.name).with_setting("post.foreground_threshold", 0.3)
    steps = []
    result = recorded(evaluate(recipe, [data], device="cpu"), steps)
    assert result.recipe == recipe
    assert len(result.images) == 3
    for one in result.images:
        image = read_image(data / "images" / f"{one.name}.tif")
        labels = finish(segment(image, recipe, device="cpu")).labels.data
        assert one.scores == score(tifffile.imread(data / "labels" / f"{one.name}.tif"), labels)
        assert one.seconds > 0
    assert [(steps[0].done, steps[0].total), (steps[-1].done, steps[-1].total)] == [(0, 3), (3, 3)]
    assert steps[-1].metrics["ap50"] == pytest.approx(result.overall()["ap50"])
    assert len(steps) > 7  # segment's own steps are passed on, so that one can cancel within them
    assert finish(evaluate(str(bundle), [data], device="cpu")).recipe == Recipe.for_model(
        entry.card, entry.name
    )


def test_unknown_model_is_refused_before_any_image_is_read(data, tmp_path):
    with pytest.raises(ModelError):
        finish(evaluate("no-such-model", [data]))


def test_closing_in_the_middle_ends_the_segmentation(data, bundle, monkeypatch):
    from napari_cellseg.core.progress import Progress
    from napari_cellseg.core.workflows import segment as workflow

    ended = []

    def endless(*_args, **_kwargs):
        try:
            while True:
                yield Progress("Predicting", message="The batch was halved.")
        finally:
            ended.append(True)

    monkeypatch.setattr(workflow, "segment", endless)
    run = evaluate(str(bundle), [data], device="cpu")
    next(run)
    assert next(run).message == "The batch was halved."
    run.close()
    assert ended == [True]
