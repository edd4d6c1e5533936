"""What is kept fixed: in every architecture, and to the last bit."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.cutting import Patch
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.models.detector import DETECTORS, build_network
from napari_cellseg.core.models.registry import MODELS
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.detection import make_trainer
from napari_cellseg.core.training.freezing import freeze

KINDS = [*MODELS.names(), *DETECTORS.names()]


class Patches:
    """Batches that depend on their number alone, for both kinds of network."""

    def batch(self, number, size):
        random = torch.Generator().manual_seed(number)
        image = torch.rand(size, 3, 32, 32, generator=random)
        foreground = (image.mean(1, keepdim=True) > 0.5).float()
        return image, {"foreground": foreground, "contour": 1 - foreground}

    def patch(self, number):
        image = self.batch(number, 1)[0][0].numpy()
        labels = torch.zeros(32, 32, dtype=torch.int32)
        labels[4:16, 6:20] = 1
        return Patch(image, labels.numpy())


def config(kind, **values):
    params = {"width": "small" if kind == "mask-rcnn-msfl-csam" else 0.1}
    return TrainConfig(
        model=kind, model_params=params, patch_size=32, batch_size=2, steps=4, warm_up=0,
        learning_rate=0.01, **values,
    )  # fmt: skip


def changed(kind, **values):
    """Return the names of all tensors that two steps change, and the trainer."""
    trainer = make_trainer(config(kind, **values), Patches(), "cpu")
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.step()
    trainer.step()
    after = trainer.network.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}, trainer


def within(name, parts):
    return any(name.startswith(f"{part}.") for part in parts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_encoder_stays_and_the_rest_learns(kind):
    names, trainer = changed(kind, freeze="encoder")
    network = trainer.network
    assert names
    assert not [name for name in names if within(name, network.encoder_names)]
    for part in network.encoder_names:
        encoder = network.get_submodule(part)
        assert all(p.grad is None and not p.requires_grad for p in encoder.parameters())
    learning = sum(p.requires_grad for p in network.parameters())
    assert len(trainer.optimizer.param_groups[0]["params"]) == learning


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_but_heads_frozen_only_heads_learn(kind):
    names, trainer = changed(kind, freeze="all but heads")
    assert names
    assert all(within(name, trainer.network.head_names) for name in names)
    assert not [name for name in names if "guide" in name.split(".")]


@pytest.mark.parametrize("kind", KINDS)
def test_kept_statistics_stay_but_their_factors_learn(kind):
    names, trainer = changed(kind, batch_norm="keep")
    assert names
    guide = [name for name in names if "guide" in name.split(".")]
    assert not [n for n in names if n.endswith(("running_mean", "running_var")) and n not in guide]
    average = trainer.average.state_dict()
    for name, value in trainer.network.state_dict().items():
        if name.endswith("running_var") and name not in guide:
            assert torch.equal(value, average[name])


def test_adapted_statistics_change():
    names, _ = changed("attention-unet")
    assert [name for name in names if name.endswith("running_mean")]


def test_a_frozen_encoder_leaves_nothing_out_by_chance():
    _, trainer = changed("attention-unet", freeze="encoder")
    image, _ = Patches().batch(0, 2)
    trainer.loss()
    first, second = trainer.network.encoder(image), trainer.network.encoder(image)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_architecture_without_an_encoder_says_so():
    network = build_network("oktay-attention-unet", {"width": 0.05})
    network.encoder_names = ("nowhere",)
    with pytest.raises(SettingsError, match="nothing fixed"):
        freeze(network, config("oktay-attention-unet", freeze="encoder"))
