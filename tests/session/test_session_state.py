"""Settings, stages and presets: plain values, one change at a time."""

import json

import pytest

from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.session import presets
from napari_cellseg.session.session import Session
from napari_cellseg.session.stages import first_stage, needs_network


@pytest.mark.parametrize(
    ("name", "value", "stage"),
    [
        ("preparation.diameter", 20, "prepare"),
        ("preparation.channels", (0,), "prepare"),
        ("model", "other", "predict"),
        ("tiling.tile", 256, "predict"),
        ("post.foreground_threshold", 0.4, "threshold"),
        ("post.opening", 2, "threshold"),
        ("post.contour_threshold", 0.4, "split"),
        ("post.growth", 1, "grow"),
        ("post.min_area", 50, "clean"),
        ("post.edge_objects", "remove", "clean"),
    ],
)
def test_first_stage_of_one_change(name, value, stage):
    recipe = Recipe()
    changed = recipe.with_setting(name, value)
    assert first_stage(recipe, changed) == stage
    assert needs_network(recipe, changed) == (stage in ("prepare", "predict"))


def test_nothing_changed_reruns_nothing():
    assert first_stage(Recipe(), Recipe()) is None
    assert not needs_network(Recipe(), Recipe())


def test_the_earliest_of_several_changes_counts():
    changed = Recipe().with_setting("post.min_area", 50).with_setting("post.growth", 1)
    assert first_stage(Recipe(), changed) == "grow"
    assert first_stage(Recipe(), changed.with_setting("model", "m")) == "predict"


def test_session_tells_once_and_only_of_changes():
    session, told = Session(), []
    session.settings_changed.connect(told.append)
    session.change(device="cpu")
    session.change(device="cpu")
    session.change_recipe(post=session.recipe.post.replace(min_area=99))
    assert [s.device for s in told] == ["cpu", "cpu"]
    assert session.recipe.post.min_area == 99


def test_a_setting_that_is_not_allowed_changes_nothing():
    session = Session()
    before = session.settings
    with pytest.raises(SettingsError):
        session.change(scope="everything")
    assert session.settings is before


def test_another_model_brings_its_defaults_and_keeps_what_the_user_changed():
    session = Session()
    session.choose_model(Recipe(model="one", post=PostParams(min_area=20, opening=1)))
    session.change_recipe(post=session.recipe.post.replace(closing=3))
    session.change_recipe(preparation=session.recipe.preparation.replace(diameter=12.0))
    session.choose_model(Recipe(model="two", post=PostParams(min_area=40)))
    post = session.recipe.post
    assert (post.min_area, post.opening, post.closing) == (40, 0, 3)
    assert session.recipe.model == "two"
    assert session.recipe.preparation.diameter == 12.0
    assert session.start.post.closing == 0


def test_included_presets_fit_every_model():
    base = PostParams(
        min_area=3, min_seed_area=2, foreground_threshold=0.3, contour_threshold=0.1, contour_gap=4
    )
    made = {
        name: presets.apply(base, changes) for name, changes in presets.all_presets(base).items()
    }
    assert made["Default"] == base
    assert made["Small objects"].foreground_threshold < base.foreground_threshold
    assert made["Dense, touching"].contour_threshold < base.contour_threshold
    for name, params in made.items():
        assert params.min_area <= base.min_area
        assert params.min_seed_area <= base.min_seed_area
        assert params.contour_gap == base.contour_gap
        if name != "Small objects":
            assert params.foreground_threshold == base.foreground_threshold
        if name != "Dense, touching":
            assert params.contour_threshold == base.contour_threshold


def test_own_presets_are_kept(cellseg_home):
    base = PostParams(min_area=20)
    presets.save("Mine", base, base.replace(opening=3))
    presets.save("Other", base, base.replace(closing=1))
    assert presets.all_presets(base)["Mine"] == {"opening": 3}
    assert list(presets.all_presets(base))[-2:] == ["Mine", "Other"]
    assert presets.presets_file().is_relative_to(cellseg_home)


def test_names_of_included_presets_are_taken():
    with pytest.raises(SettingsError, match="included"):
        presets.save("Default", PostParams(), PostParams())


@pytest.mark.parametrize("text", ["not json", "[1]", json.dumps({"Bad": {"nonsense": 1}})])
def test_presets_that_cannot_be_read_are_left_out(cellseg_home, text):
    presets.presets_file().write_text(text)
    assert list(presets.all_presets(PostParams())) == list(presets.INCLUDED)
