"""Comparison: equal terms for all models, and nothing left out without being told."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import DataError, DeviceError, ModelError, SettingsError
from napari_cellseg.core.models.detector import build_network
from napari_cellseg.core.models.registry import MODELS, DenseModel, ModelParams
from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.workflows import segment as segmentation
from napari_cellseg.core.workflows.compare import compare
from napari_cellseg.core.zoo.bundle import save_bundle
from napari_cellseg.core.zoo.card import Card


class Brightness(DenseModel):
    """Calls everything bright foreground: the right answer for the images here."""

    Params = ModelParams
    stride = 1

    def __init__(self, params):
        super().__init__(params)
        self.mix = torch.nn.Conv2d(params.in_channels, 2, 1)
        with torch.no_grad():
            self.mix.weight[0], self.mix.weight[1] = 16 / params.in_channels, 0
            self.mix.bias.fill_(-8)

    def forward_padded(self, image):
        return self.split(self.mix(image))


@pytest.fixture(autouse=True, scope="module")
def quick_collections():
    """Keep what was loaded before out of the collections before each model: it takes seconds."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Save a model: one that sees, or a blind one that finds nothing."""
    MODELS.names()
    monkeypatch.setitem(MODELS._members, "brightness", Brightness)

    def save(name, *, blind=False, kinds=("gray", "rgb"), folder=None):
        channels = 3 if "rgb" in kinds else 1
        network = Brightness(ModelParams(in_channels=channels))
        if blind:
            torch.nn.init.zeros_(network.mix.weight)
        card = Card(
            name=name,
            architecture="brightness",
            params={"in_channels": channels},
            in_channels=channels,
            channels=kinds,
        )
        save_bundle(tmp_path / (folder or name), network, card)
        return tmp_path / (folder or name)

    return save


@pytest.fixture
def data(tmp_path):
    """Three images of squares in the part "val", one more in "train"."""
    folder = tmp_path / "squares"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        write_squares(folder, name)
    split = {"train": ["d"], "val": ["a", "b", "c"]}
    (folder / "split.json").write_text(json.dumps(split))
    return folder


def write_squares(folder, name, colour=False):
    labels = np.zeros((64, 96), np.uint16)
    labels[8:24, 8:24], labels[30:50, 40:70] = 1, 2
    image = np.where(labels > 0, 200, 10).astype(np.uint8)
    kind = "rgb" if colour else "minisblack"
    pixels = np.dstack([image] * 3) if colour else image
    tifffile.imwrite(folder / "images" / f"{name}.tif", pixels, photometric=kind)
    tifffile.imwrite(folder / "labels" / f"{name}.tif", labels)


def steps_of(workflow):
    """Return all steps and the result."""
    steps = []
    while True:
        try:
            steps.append(next(workflow))
        except StopIteration as stop:
            return steps, stop.value


def test_scores_and_costs_of_each_model(data, save):
    good, blind = save("good"), save("blind", blind=True)
    steps, result = steps_of(compare([good, blind], [data], device="cpu"))
    first, second = (one.as_row() for one in result.models)
    assert (first["model"], second["model"]) == ("good", "blind")
    assert [run.image.name for run in result.models[0].runs] == ["a", "b", "c"]
    for metric in ("ap50", "map", "pq", "aji", "dice", "iou", "f1_50"):
        assert (first[metric], second[metric]) == (1.0, 0.0)
    assert first["parameters"] == 3 * 2 + 2
    assert first["flops_per_mpx"] == 2 * 3 * 2 * 1e6  # a multiply-add counts as two
    assert first["file_bytes"] == sum(p.stat().st_size for p in good.iterdir())
    assert first["seconds_per_mpx"] > 0
    assert first["cpu_seconds_per_mpx"] > 0
    assert first["peak_bytes"] is not None
    assert result.models[0].runs[0].megapixels == 64 * 96 / 1e6
    assert result.complete
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, 6, 6)
    assert [s.done for s in steps] == sorted(s.done for s in steps)


def test_specks_count_on_neither_side(data, save):
    labels = tifffile.imread(data / "labels" / "a.tif")
    assert not labels[:3, :3].any()
    labels[:3, :3] = labels.max() + 1
    tifffile.imwrite(data / "labels" / "a.tif", labels)
    _, with_it = steps_of(compare([save("good")], [data], device="cpu"))
    assert with_it.models[0].runs[0].image.scores.ap[0] < 1
    _, result = steps_of(compare([save("again")], [data], device="cpu", smallest=10))
    assert result.models[0].runs[0].image.scores.ap[0] == 1
    assert "Objects of fewer than 10 px count on neither side." in result.table()


def test_networks_that_find_objects_are_compared_too(data, save, tmp_path):
    (data / "split.json").write_text(json.dumps({"val": ["a"]}))
    params = {"width": 0.05, "in_channels": 1}
    torch.manual_seed(0)
    network = build_network("mask-rcnn", params)
    card = Card(
        name="finder",
        architecture="mask-rcnn",
        params=params,
        in_channels=1,
        channels=("gray",),
        maps=("instances",),
        post={"score_threshold": 0.3},
    )
    save_bundle(tmp_path / "finder", network, card)
    result = finish(compare([tmp_path / "finder", save("good")], [data], device="cpu"))
    assert result.complete
    row, other = (one.as_row() for one in result.models)
    assert (row["images"], other["ap50"]) == (1, 1.0)
    assert 0 < row["dice"] < 1  # it found something, somewhere
    assert row["parameters"] == sum(one.numel() for one in network.parameters())
    assert row["flops_per_mpx"] > other["flops_per_mpx"]
    assert "finder" in result.table()
    assert result.to_svg().count("<circle") == 2


def test_the_asked_part_is_taken(data, save):
    model = save("good")
    assert finish(compare([model], [data], part="train")).images == 1
    assert finish(compare([model], [data], part=None)).images == 4


def test_a_kind_that_a_model_cannot_read_does_not_count_as_zero(data, save):
    write_squares(data, "c", colour=True)
    models = [save("both"), save("grey", kinds=("gray",))]
    steps, result = steps_of(compare(models, [data], device="cpu"))
    both, grey = result.models
    assert (len(both.runs), len(grey.runs)) == (3, 2)
    assert grey.as_row()["ap50"] == 1.0
    assert list(grey.unreadable) == ["c"]
    assert "colour image" in grey.unreadable["c"]
    assert not both.unreadable
    assert result.complete  # what a model is not made for is no failure
    assert "grey cannot read 1 of 3 images" in result.table()
    assert "  2/3  " in result.table()
    assert sum("colour image" in step.message for step in steps) == 1


def test_a_model_that_reads_nothing_has_no_scores(data, save):
    for name in ("a", "b", "c"):
        write_squares(data, name, colour=True)
    result = finish(compare([save("grey", kinds=("gray",)), save("both")], [data]))
    row = result.models[0].as_row()
    assert row["images"] == 0
    assert {row[key] for key in ("ap50", "dice", "seconds_per_mpx", "peak_bytes")} == {None}
    assert row["parameters"] == 1 * 2 + 2
    assert result.models[1].as_row()["ap50"] == 1.0
    line = result.table().splitlines()[1]
    assert line.split()[:4] == ["grey", "0/3", "–", "–"]
    assert result.to_svg().count("<circle") == 1


def test_bad_images_are_skipped_and_told_once(data, save):
    (data / "images" / "a.tif").write_bytes(b"no image")
    tifffile.imwrite(data / "labels" / "b.tif", np.ones((5, 5), np.uint8))
    steps, result = steps_of(compare([save("good"), save("blind", blind=True)], [data]))
    assert set(result.skipped) == {data / "images" / "a.tif", data / "images" / "b.tif"}
    assert "'b' cannot be scored" in result.skipped[data / "images" / "b.tif"]
    assert [[run.image.name for run in one.runs] for one in result.models] == [["c"], ["c"]]
    assert not result.complete
    assert (steps[-1].done, steps[-1].total) == (6, 6)
    for name in ("a.tif", "b.tif"):
        assert sum(name in step.message for step in steps) == 1
        assert result.table().count(f"{name}: ") == 1


def test_a_damaged_model_does_not_stop_the_others(data, save):
    damaged, good = save("damaged"), save("good")
    (damaged / "weights.safetensors").write_bytes(b"?")
    result = finish(compare([damaged, good], [data]))
    assert "damaged" in result.models[0].problem
    assert result.models[0].cost is None
    assert result.models[1].as_row()["ap50"] == 1.0
    assert not result.complete
    assert f"damaged: {result.models[0].problem}" in result.table()


def test_a_model_without_enough_memory_keeps_what_it_had(data, save, monkeypatch):
    real, calls = segmentation.segment, Counter()

    def scarce(image, recipe, **others):
        calls[recipe.model] += 1
        if calls[recipe.model] == 4 and "large" in recipe.model:  # two warm-ups, then "a", "b"
            raise DeviceError("The memory of this computer is not enough.")
        return (yield from real(image, recipe, **others))

    monkeypatch.setattr(segmentation, "segment", scarce)
    result = finish(compare([save("large"), save("good")], [data]))
    assert result.models[0].problem.startswith("The memory")
    assert [len(one.runs) for one in result.models] == [1, 3]


def test_what_cannot_begin(data, save, tmp_path):
    model = save("good")
    with pytest.raises(SettingsError, match="Name the models"):
        next(compare([], [data]))
    with pytest.raises(ModelError, match="no model called"):
        next(compare([model, "nonesuch"], [data]))
    with pytest.raises(DataError):
        next(compare([model], [tmp_path / "nothing"]))
    with pytest.raises(SettingsError, match="quantum"):
        next(compare([model], [data], device="quantum"))


def test_models_of_one_name_are_told_apart_and_twice_the_same_is_one(data, save):
    one, other = save("same", folder="one"), save("same", folder="other")
    result = finish(compare([one, other, one / "card.json"], [data]))
    assert [Path(model.name) for model in result.models] == [one.resolve(), other.resolve()]


def test_warm_ups_and_waiting_take_no_time(data, save, monkeypatch):
    seen = []

    def slow_at_first(image, recipe, **_):
        seen.append(image.name)
        time.sleep(0.25 if len(seen) in (1, 2, 6) else 0.01)
        yield Progress("Predicting")
        return type("Made", (), {"labels": LABELS})

    monkeypatch.setattr(segmentation, "segment", slow_at_first)
    (data / "images" / "a.tif").write_bytes(b"no image")
    models = [save("good"), save("blind", blind=True)]
    workflow = compare(models, [data], part=None)
    result = None
    while result is None:
        try:
            if next(workflow).done < 3:
                time.sleep(0.1)  # a window being drawn, say
        except StopIteration as stop:
            result = stop.value
    assert seen == ["b", *"bbcd", *"bbcd"]
    for model in result.models:
        for run in model.runs:
            assert 0.009 < run.image.seconds < 0.09
            assert run.cpu_seconds < run.image.seconds


LABELS = type("Labels", (), {"data": np.zeros((64, 96), np.int32)})


def test_closing_ends_the_segmentation_and_the_measuring(data, save, monkeypatch):
    ended = []

    def endless(*_args, **_kwargs):
        try:
            for _ in range(4):
                yield Progress("Predicting", message="The batch was halved.")
            return type("Made", (), {"labels": LABELS})
        finally:
            ended.append(True)

    monkeypatch.setattr(segmentation, "segment", endless)
    workflow = compare([save("good")], [data], device="cpu")
    messages = [next(workflow).message for _ in range(7)]  # within the second segmentation
    assert messages == ["", *["The batch was halved."] * 6]
    assert any(one.name == "peak-memory" for one in threading.enumerate())
    workflow.close()
    assert ended == [True, True]
    assert not any(one.name == "peak-memory" for one in threading.enumerate())
