"""The copied command says exactly what a run used."""

import itertools
import shlex
import sys

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.session.command import command_and_recipe, command_line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other quoting")


def image(tmp_path):
    return Image(np.zeros((5, 5), np.uint8), "YX", source=tmp_path / "my field.tif")


def test_defaults_need_no_settings(tmp_path):
    words = shlex.split(command_line(image(tmp_path), Recipe(), Recipe()))
    assert words == [
        "napari-cellseg", "segment", str(tmp_path / "my field.tif"), "--model", "nuclei",
        "-o", "results",
    ]  # fmt: skip


def test_every_difference_is_set_and_read_back(tmp_path):
    recipe = Recipe()
    for name, value in {
        "post.min_area": 30,
        "post.fill_holes": False,
        "post.split": "distance",
        "preparation.channels": (0, 2),
        "preparation.diameter": 22.5,
        "tiling.tile": 256,
    }.items():
        recipe = recipe.with_setting(name, value)
    words = shlex.split(command_line(image(tmp_path), recipe, Recipe(), "cpu", "CYX"))
    again = Recipe()
    for flag, text in itertools.pairwise(words):
        if flag == "--set":
            again = again.with_setting(*text.split("=", 1))
    assert again == recipe
    assert words[words.index("--device") + 1] == "cpu"
    assert words[words.index("--axes") + 1] == "CYX"


def test_recipe_stands_behind_comment_signs():
    text = command_and_recipe("napari-cellseg segment x.tif", Recipe(), "Only rows 0 to 5.")
    first, *rest = text.splitlines()
    assert first == "napari-cellseg segment x.tif"
    assert all(line == "" or line.startswith("# ") for line in rest)
    body = "\n".join(line[2:] for line in rest)
    assert Recipe.from_json(body[body.index("{") :]) == Recipe()
