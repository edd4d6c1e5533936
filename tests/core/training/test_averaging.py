"""The averaged weights follow the steps, and normalise by statistics of their own."""

import copy

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.training import averaging
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.trainer import Trainer

TINY = TrainConfig(model_params={"width": 0.1}, patch_size=32, batch_size=2, steps=8, warm_up=0)


class Patches:
    """Batches that depend on their number alone, bright and of little contrast."""

    def batch(self, number, size):
        random = torch.Generator().manual_seed(number)
        image = 3 + torch.rand(size, 3, 32, 32, generator=random)
        foreground = (image.mean(1, keepdim=True) > 3.5).float()
        return image, {"foreground": foreground, "contour": 1 - foreground}


def norms(network):
    return [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("decay", "step", "stays"), [(0.9, 1, 2 / 11), (0.9, 1000, 0.9), (0, 9, 0.0)]
)
def test_an_average_follows_quickly_at_first(decay, step, stays):
    average, network = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    with torch.no_grad():
        network.weight.fill_(2.0)
    network.running_mean.fill_(4.0)
    network.num_batches_tracked.fill_(7)
    averaging.follow(average, network, decay, step)
    torch.testing.assert_close(average.weight, torch.full((2,), 2 - stays))
    torch.testing.assert_close(average.running_mean, torch.full((2,), 4 - 4 * stays))
    assert average.num_batches_tracked == 7


def test_settled_statistics_are_those_of_the_weights_of_now():
    """After two steps running ones, with a momentum of 0.01, have hardly left where they began."""
    trainer = Trainer(TINY, Patches(), "cpu")
    trainer.step()
    trainer.step()
    first = norms(trainer.average)[0]
    before = copy.deepcopy(trainer.average.state_dict())
    trainer.settle()
    seen = []
    hook = first.register_forward_hook(lambda *call: seen.append(call[1][0]))
    with torch.no_grad():
        for k in range(2):
            trainer.average(Patches().batch(k, 2)[0])
    hook.remove()
    wanted = torch.stack([one.mean((0, 2, 3)) for one in seen]).mean(0)
    torch.testing.assert_close(first.running_mean, wanted, atol=1e-4, rtol=1e-3)
    wanted = torch.stack([one.var((0, 2, 3)) for one in seen]).mean(0)
    torch.testing.assert_close(first.running_var, wanted, atol=1e-4, rtol=1e-3)
    after = trainer.average.state_dict()
    assert all(
        torch.equal(before[name], after[name])
        for name in before
        if "running" not in name and "num_batches" not in name
    )
    assert first.momentum == 0.01
    assert not any(part.training for part in trainer.average.modules())


def test_before_the_first_step_there_is_nothing_to_settle():
    trainer = Trainer(TINY, Patches(), "cpu")
    before = copy.deepcopy(trainer.average.state_dict())
    trainer.settle()
    after = trainer.average.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_to_settle_changes_no_step():
    once, twice = Trainer(TINY, Patches(), "cpu"), Trainer(TINY, Patches(), "cpu")
    losses = []
    for trainer in (once, twice):
        torch.manual_seed(1)
        trainer.step()
        if trainer is twice:
            trainer.settle()
        losses.append(trainer.step())
        trainer.settle()
    assert losses[0] == losses[1]
    states = [trainer.average.state_dict().values() for trainer in (once, twice)]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


@pytest.mark.parametrize(
    "values", [{"batch_norm": "keep"}, {"freeze": "all but heads"}, {"freeze": "encoder"}]
)
def test_kept_statistics_stay(values):
    trainer = Trainer(TINY.replace(**values), Patches(), "cpu")
    trainer.step()
    before = copy.deepcopy(trainer.average)
    trainer.settle()
    moved = [
        name
        for (name, one), (_, two) in zip(
            trainer.average.named_buffers(), before.named_buffers(), strict=True
        )
        if not torch.equal(one, two)
    ]
    assert [n for n in moved if not n.startswith("encoder")] == moved
    assert bool(moved) is (values == {"freeze": "encoder"})
