"""Every recipe names what exists and can take a step; a person's own settings win."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.errors import SettingsError, UnknownNameError
from napari_cellseg.core.losses import LOSSES
from napari_cellseg.core.models.detector import DETECTORS
from napari_cellseg.core.models.registry import MODELS
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.recipes import RECIPES, configure
from napari_cellseg.core.training.trainer import Trainer

DENSE = [name for name, recipe in RECIPES.items() if recipe.settings["model"] in MODELS]


class Patches:
    def batch(self, number, size):
        image = torch.rand(size, 3, 64, 64)
        target = (image[:, :1] > 0.7).float()
        return image, {"foreground": target, "contour": 1 - target}


@pytest.mark.parametrize("name", RECIPES.names())
def test_all_that_a_recipe_names_exists(name):
    config = configure({"recipe": name})
    assert config.recipe == name
    assert config.model in MODELS or config.model in DETECTORS
    known = MODELS if config.model in MODELS else DETECTORS
    known[config.model].Params.parse(config.model_params)
    LOSSES[config.loss].Params.parse(config.loss_params)
    PostParams.parse(config.post)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("name", MODELS.names())
def test_every_architecture_has_a_recipe_of_its_name(name):
    assert configure({"recipe": name}).model == name


@pytest.mark.parametrize("name", DENSE)
def test_a_step_of_each_recipe(name):
    config = configure(
        {"recipe": name, "model_params": {"width": 0.1}, "patch_size": 64, "batch_size": 2}
    )
    trainer = Trainer(config, Patches(), "cpu")
    before = [p.detach().clone() for p in trainer.network.parameters()]
    assert trainer.step() < 100
    after = trainer.network.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_papers_values():
    """What the papers print, where the recipe says that it follows them."""
    attention = configure({"recipe": "attention-linknet"})
    assert (attention.optimizer, attention.learning_rate, attention.patience) == ("adam", 1e-3, 3)
    assert (attention.schedule, attention.plateau_patience) == ("plateau", 2)
    assert (attention.plateau_factor, attention.holdout, attention.loss) == (0.5, 0.2, "combo")
    assert attention.augment.mirror
    assert not attention.augment.rotate
    iau = configure({"recipe": "iau-net"})
    assert (iau.loss, iau.loss_params["alpha"], iau.epoch_steps) == ("focal-tversky", 0.7, 300)
    haru = configure({"recipe": "haru-net-paper"})
    assert (haru.optimizer, haru.learning_rate, haru.loss) == ("sgd", 1e-5, "bce-dice")
    assert (haru.targets.contour, haru.targets.contour_width) == ("full", 3)
    nested = configure({"recipe": "unetpp-attention"})
    assert (nested.optimizer, nested.learning_rate, nested.batch_size) == ("adamw", 1e-4, 8)
    assert nested.post["closing"] > 0


def test_ours_beside_the_paper_says_what_differs():
    ours, paper = (configure({"recipe": name}) for name in ("haru-net", "haru-net-paper"))
    assert (ours.model, ours.loss) == (paper.model, paper.loss)
    assert ours.targets == TrainConfig().targets
    for word in ("AdamW", "256 px", "augmentation", "touch"):
        assert word in RECIPES["haru-net"].description
    assert "'haru-net'" in RECIPES["haru-net-paper"].description


def test_own_settings_win_value_by_value():
    config = configure(
        {"recipe": "unetpp-attention", "steps": 5, "augment": {"noise": 0.3}, "post": {"growth": 1}}
    )
    assert (config.steps, config.batch_size) == (5, 8)
    assert config.augment.noise == 0.3
    assert config.augment.elastic == 0.0 != AugmentParams().elastic
    assert config.post == {"closing": 2, "growth": 1}


def test_parameters_of_a_loss_that_is_replaced_are_left_out():
    config = configure({"recipe": "iau-net", "loss": "combo"})
    assert config.loss_params == {}
    kept = configure({"recipe": "iau-net", "loss": "focal-tversky", "loss_params": {"alpha": 0.6}})
    assert kept.loss_params == {"alpha": 0.6, "contour_alpha": 0.3, "gamma": 0.75}


def test_no_recipe_is_the_general_settings():
    assert configure({}) == TrainConfig()
    assert configure({"steps": 3}) == TrainConfig(steps=3)


def test_wrong_names_are_explained():
    with pytest.raises(UnknownNameError, match="Did you mean 'haru-net'"):
        configure({"recipe": "haru-nett"})
    with pytest.raises(SettingsError, match="nonsense"):
        configure({"recipe": "haru-net", "augment": {"nonsense": 1}})
