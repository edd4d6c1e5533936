"""Recipes: JSON, single settings from text, defaults of a model."""

import json
import subprocess
import sys

import pytest

from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.inference.preparation import Normalization
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.zoo.card import Card


def test_json_round_trip(tmp_path):
    recipe = (
        Recipe()
        .with_setting("preparation.channels", (2, 0))
        .with_setting("preparation.diameter", 12.5)
        .with_setting("post.split", "distance")
        .with_setting("tiling.batch", 4)
    )
    path = tmp_path / "rezept ü.json"
    path.write_text(recipe.to_json(), encoding="utf-8")
    assert Recipe.load(path) == recipe
    assert json.loads(recipe.to_json())["preparation"]["diameter"] == 12.5


@pytest.mark.parametrize(
    ("name", "text", "section", "expected"),
    [
        ("post.min_area", "30", "post", 30),
        ("post.foreground_threshold", "0.35", "post", 0.35),
        ("post.fill_holes", "false", "post", False),
        ("post.split", "none", "post", "none"),
        ("preparation.diameter", " 12.5 ", "preparation", 12.5),
        ("preparation.diameter", "none", "preparation", None),
        ("preparation.diameter", "", "preparation", None),
        ("preparation.channels", "1", "preparation", (1,)),
        ("preparation.channels", "0, 2", "preparation", (0, 2)),
        ("preparation.channels", "[0, 2]", "preparation", (0, 2)),
        ("preparation.channels", "null", "preparation", None),
        ("tiling.batch", "4", "tiling", 4),
    ],
)
def test_text_is_read_as_the_type_of_the_setting(name, text, section, expected):
    changed = Recipe().with_setting(name, text)
    assert getattr(getattr(changed, section), name.split(".")[1]) == expected


def test_settings_of_the_recipe_itself():
    recipe = Recipe(weights_sha256="ab").with_setting("model", "mine")
    assert recipe.model == "mine"
    assert recipe.with_setting("weights_sha256", "none").weights_sha256 is None


def test_only_the_named_setting_changes():
    before = Recipe().with_setting("post.min_area", 99)
    after = before.with_setting("post.max_area", "5000")
    assert after.post.min_area == 99
    assert after.replace(post=before.post) == before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("post.min_aera", "3", "Did you mean 'min_area'"),
        ("pots.min_area", "3", "Did you mean 'post'"),
        ("model.name", "x", "model"),
        ("post.min_area", "many", "min_area"),
        ("post.min_area", "-5", "min_area"),
        ("preparation.low", "99", "low"),
        ("schema_version", "7", "schema_version"),
    ],
)
def test_wrong_settings_are_worded(name, value, words):
    with pytest.raises(SettingsError, match=words):
        Recipe().with_setting(name, value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not readable JSON"),
        ("[1]", "not a JSON object"),
        ('{"schema_version": 2}', "newer.*update"),
        ('{"post": {"min_area": "x"}}', "post.min_area"),
        ('{"surprise": 1}', "surprise"),
    ],
)
def test_what_is_no_recipe_is_refused(text, words):
    with pytest.raises(SettingsError, match=words):
        Recipe.from_json(text)


def test_a_missing_file_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        Recipe.load(tmp_path / "none.json")


def test_a_model_brings_its_defaults():
    card = Card(
        name="mine",
        architecture="attention-unet",
        normalization=Normalization(low=3, high=97),
        post={"min_area": 40},
        weights_sha256="a" * 64,
    )
    recipe = Recipe.for_model(card)
    assert (recipe.model, recipe.weights_sha256) == ("mine", "a" * 64)
    assert (recipe.preparation.low, recipe.preparation.high) == (3, 97)
    assert recipe.post == Recipe().with_setting("post.min_area", 40).post
    assert Recipe.for_model(card, "/a/folder").model == "/a/folder"


def test_recipes_and_cards_need_no_heavy_package():
    code = (
        "import sys; import napari_cellseg.core.recipe, napari_cellseg.core.zoo.store;"
        "print([m for m in ('torch', 'scipy', 'skimage', 'numba', 'napari') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
