"""The settings of a fine-tuning become those of a training run."""

import subprocess
import sys

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.settings import FineTuneSettings, typical_diameter
from napari_cellseg.core.zoo.card import Card

RECIPE = {
    "loss": "dice-focal", "loss_params": {"gamma": 3.0}, "auxiliary_weight": 0.5,
    "targets": {"contour": "touching", "contour_width": 4}, "augment": {"invert": 0.2},
    "finetuning": {"sources": []}, "from_a_later_version": 1,
}  # fmt: skip
PARENT = Card(
    name="p", architecture="unet", params={"width": "small"}, object_diameter=18.0,
    normalization={"low": 2.0, "high": 99.0}, recipe=RECIPE,
)  # fmt: skip


def source(diameter, shape=(300, 300)):
    """A source with two square objects of a disc's area, whatever their numbers are."""
    side = round(diameter * np.sqrt(np.pi) / 2)
    labels = np.zeros(shape, np.int32)
    labels[:side, :side], labels[-side:, -side:] = 2_000_000_000, 5
    return Source("s", Image(np.zeros(shape, np.uint8), "YX"), labels)


def training(settings=None, parent=PARENT, diameter=18.0, shape=(300, 300)):
    return (settings or FineTuneSettings()).training(parent, [source(diameter, shape)])


def test_what_the_parent_was_trained_with_is_taken_over():
    config = training()
    assert config.model == "unet"
    assert config.model_params == {"width": "small"}
    assert config.normalization == PARENT.normalization
    assert config.targets.contour_width == 4
    assert (config.loss, config.loss_params) == ("dice-focal", {"gamma": 3.0})
    assert config.auxiliary_weight == 0.5
    assert config.parent == "p"


def test_images_to_come_are_like_those_trained_on():
    augment = training().augment
    assert (augment.scale_min, augment.scale_max, augment.invert) == (0.8, 1.25, 0)


def test_what_is_chosen_is_passed_on():
    chosen = FineTuneSettings(
        minutes=None, steps=7, learning_rate=0.01, freeze="encoder", batch_norm="adapt", ema=0.5,
        replay=0.5, batch_size=3, epoch_steps=2, patience=1, seed=9, precision="bfloat16",
        validation_images=2,
    )  # fmt: skip
    config = training(chosen)
    for name in ("minutes", "steps", "learning_rate", "freeze", "batch_norm", "ema", "replay",
                 "batch_size", "epoch_steps", "patience", "seed", "precision",
                 "validation_images"):  # fmt: skip
        assert getattr(config, name) == getattr(chosen, name)
    assert training().precision == "float32"


def test_another_loss_has_its_own_parameters():
    pytest.importorskip("torch")
    config = training(FineTuneSettings(loss="combo"))
    assert (config.loss, config.loss_params) == ("combo", {})
    with pytest.raises(SettingsError, match="no loss called 'comb'"):
        training(FineTuneSettings(loss="comb"))


@pytest.mark.parametrize(
    ("diameter", "expected"),
    [(18, None), (26, None), (13, None), (28, 28), (90, 1.6 * 18), (11, 18), (4, 18)],
)
def test_objects_unlike_the_parents_are_rescaled(diameter, expected):
    found = training(diameter=diameter).diameter
    assert found is None if expected is None else found == pytest.approx(expected, rel=0.05)


def test_small_objects_are_enlarged_as_by_the_parent():
    assert training().smallest_diameter == 0
    parent = PARENT.replace(diameter_range=(12.0, 80.0), enlarged_diameter=14.4)
    assert training(parent=parent).smallest_diameter == 12
    assert training(parent=parent, diameter=10).diameter == 14.4
    assert training(parent=parent, diameter=14).diameter is None


def test_a_chosen_diameter_counts():
    assert training(FineTuneSettings(diameter=40), diameter=90).diameter == 40


def test_a_parent_that_sees_rescaled_images_still_does():
    parent = PARENT.replace(expected_diameter=50)
    assert training(parent=parent, diameter=20).diameter == 18


@pytest.mark.parametrize(
    ("shape", "patch"), [((300, 300), 256), ((100, 60), 128), ((40, 30), 64), ((256, 40), 256)]
)
def test_patches_are_not_larger_than_needed(shape, patch):
    assert training(shape=shape).patch_size == patch
    assert training(FineTuneSettings(patch_size=64), shape=shape).patch_size == 64


def test_patches_grow_with_images_that_are_enlarged():
    assert training(shape=(100, 60), diameter=9).patch_size == 224


def test_a_card_that_says_nothing_useful_has_defaults():
    config = training(parent=PARENT.replace(recipe={"loss": 5, "steps": "x"}))
    assert config.loss == "combo"


def test_presets():
    quick, thorough = FineTuneSettings.preset("quick"), FineTuneSettings.preset("thorough")
    assert quick.minutes <= 1.2
    assert thorough.minutes > 5 * quick.minutes
    with pytest.raises(SettingsError, match="quick, thorough"):
        FineTuneSettings.preset("slow")


def test_the_typical_diameter_is_that_of_the_middle_source():
    sources = [source(d) for d in (10, 20, 90)]
    assert typical_diameter(sources) == pytest.approx(20, rel=0.05)
    nothing = Source("n", Image(np.zeros((9, 9), np.uint8), "YX"), np.zeros((9, 9), np.int32))
    assert typical_diameter([nothing]) == 0
    assert FineTuneSettings().training(PARENT, [nothing]).diameter is None


def test_settings_need_no_torch():
    code = (
        "import sys; from napari_cellseg.core.finetuning import settings as s;"
        "from napari_cellseg.core.zoo.card import Card;"
        "s.FineTuneSettings().training(Card(name='p', architecture='unet'), []);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
