"""The command ``fit``: corrected labels in, a recipe out that `segment` understands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_cellseg import api, cli
from napari_cellseg.core.metrics import score
from napari_cellseg.core.recipe import Recipe


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def folders(tmp_path):
    """An image of 12 cells with halos, its labels, and a reviewed area that leaves 4 out."""
    y, x = np.mgrid[:90, :120]
    distance = (y % 30 - 15) ** 2 + (x % 30 - 15) ** 2
    labels = np.where(distance < 49, y // 30 * 4 + x // 30 + 1, 0)
    image = np.where(distance < 49, 250, np.where(distance < 144, 150, 5))
    area = np.zeros(labels.shape, np.uint8)
    area[:, :90] = 255
    kinds = {"images": image.astype(np.uint8), "labels": labels.astype(np.uint16), "reviewed": area}
    for name, data in kinds.items():
        (tmp_path / name).mkdir()
        ending = "" if name == "images" else f"_{name}"
        tifffile.imwrite(tmp_path / name / f"cells{ending}.tif", data)
    return tmp_path


def arguments(folders, model):
    labels, reviewed = folders / "labels", folders / "reviewed"
    return (
        *("fit", folders / "images", "--labels", labels, "--reviewed", reviewed),
        *("--model", model, "--set", "post.foreground_threshold=0.5", "--device", "cpu"),
    )


def test_recipe_gives_the_better_labels(run, folders, bright_model):
    file = folders / "out" / "fitted.json"
    status, said, _ = run(*arguments(folders, bright_model), "-o", file)
    assert status == 0
    assert "On 9 reviewed objects" in said
    recipe = Recipe.load(file)
    assert recipe.post.foreground_threshold > 0.7
    assert recipe.weights_sha256
    truth = tifffile.imread(folders / "labels" / "cells_labels.tif")
    found = api.segment(folders / "images" / "cells.tif", recipe=file, device="cpu")
    assert score(truth, found.labels.data).pq == 1.0
    status, _, complaint = run(*arguments(folders, bright_model), "-o", file)
    assert status == 1
    assert "exists already" in complaint


def test_json(run, folders, bright_model):
    status, said, _ = run(*arguments(folders, bright_model), "--json")
    assert status == 0
    content = json.loads(said)
    assert content["worthwhile"]
    assert content["after"] == {"pq": 1.0, "ap": 1.0}
    assert content["changes"]["foreground_threshold"][0] == 0.5


def test_labels_of_another_size_are_named(run, folders, bright_model):
    tifffile.imwrite(folders / "labels" / "cells_labels.tif", np.ones((20, 20), np.uint8))
    status, _, complaint = run(*arguments(folders, bright_model))
    assert status == 1
    assert "cells.tif' cannot be used" in complaint
