"""Every optimiser and schedule: a resumed run takes the same steps as one that never stopped."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.trainer import Trainer

TINY = TrainConfig(
    model_params={"width": 0.1}, patch_size=32, batch_size=2, steps=8, warm_up=0, cycle_steps=2
)


class Patches:
    """Batches that depend on their number alone."""

    def batch(self, number, size):
        random = torch.Generator().manual_seed(number)
        image = torch.rand(size, 3, 32, 32, generator=random)
        foreground = (image.mean(1, keepdim=True) > 0.5).float()
        return image, {"foreground": foreground, "contour": 1 - foreground}


def run(trainer, steps, scores=()):
    for _ in range(steps):
        trainer.step()
    trainer.scores += scores
    return trainer


def same(one, two):
    pairs = zip(one.network.state_dict().values(), two.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer": "adamw"},
        {"optimizer": "adam", "schedule": "plateau"},
        {"optimizer": "sgd", "schedule": "triangular2"},
        {"optimizer": "sgd", "schedule": "constant", "momentum": 0.0},
    ],
)
def test_resumed_equals_uninterrupted(values, tmp_path):
    config, scores = TINY.replace(**values), [0.5, 0.4, 0.3]
    whole = run(run(Trainer(config, Patches(), "cpu"), 2, scores), 2)
    run(Trainer(config, Patches(), "cpu"), 2, scores).save(tmp_path / "a.safetensors", {"x": 1})
    part = Trainer(config, Patches(), "cpu")
    assert part.load(tmp_path / "a.safetensors") == {"x": 1}
    assert part.scores == scores
    run(part, 2)
    assert part.learning_rate() == whole.learning_rate()
    assert same(whole, part)


def test_each_optimiser_is_its_own():
    trained = [
        run(Trainer(TINY.replace(optimizer=name, weight_decay=0.1), Patches(), "cpu"), 2)
        for name in ("adamw", "adam", "sgd")
    ]
    assert [type(t.optimizer).__name__ for t in trained] == ["AdamW", "Adam", "SGD"]
    assert all(t.optimizer.param_groups[0]["weight_decay"] == 0.1 for t in trained)
    assert trained[2].optimizer.param_groups[0]["momentum"] == 0.9
    assert not same(trained[0], trained[1])
    assert not same(trained[1], trained[2])


def test_a_plateau_lowers_the_rate_of_the_next_step():
    trainer = run(Trainer(TINY.replace(schedule="plateau"), Patches(), "cpu"), 1, [0.5, 0.5, 0.5])
    trainer.step()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(TINY.learning_rate / 2)
