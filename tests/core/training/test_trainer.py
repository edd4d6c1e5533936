"""A resumed run takes the same steps as one that never stopped; what can go wrong in a step."""

import copy
import errno
import os

import numpy as np
import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import TargetParams
from napari_cellseg.core.errors import DeviceError, OutputError, TrainingError
from napari_cellseg.core.training import checkpoint
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


def test_a_fused_step_is_the_plain_one():
    """Also with weights of a network whose channels are last in memory, and after resuming."""
    trainer = Trainer(TINY.replace(batch_norm="keep"), Patches(), "cpu")
    plain = [p.detach().clone() for p in trainer._learning]
    optimizer = torch.optim.AdamW(plain, lr=1e-3, weight_decay=TINY.weight_decay, fused=False)
    for _ in range(3):
        trainer._gradients()
        torch.nn.utils.clip_grad_norm_(trainer._learning, 5.0)
        for one, now in zip(plain, trainer._learning, strict=True):
            one.grad = now.grad.clone()
        trainer.optimizer.step()
        optimizer.step()
        state = checkpoint.optimizer_state(trainer.optimizer)
        saved = {name: value.contiguous() for name, value in state[0].items()}
        checkpoint.restore_optimizer(trainer.optimizer, saved, state[1])
    for one, now in zip(plain, trainer._learning, strict=True):
        torch.testing.assert_close(one, now.detach(), atol=1e-6, rtol=1e-4)


def test_a_plateau_lowers_the_rate_of_the_next_step():
    trainer = run(Trainer(TINY.replace(schedule="plateau"), Patches(), "cpu"), 1, [0.5, 0.5, 0.5])
    trainer.step()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(TINY.learning_rate / 2)


LABELS = np.zeros((64, 64), np.int32)
LABELS[8:24, 8:20], LABELS[8:24, 20:30], LABELS[40:50, 40:56] = 1, 2, 3


def corrections():
    """A sampler of an image that is known in parts, with replay."""
    rng = np.random.default_rng(0)
    images = [rng.random((64, 64, 1)).astype(np.float16) for _ in range(2)]
    known = np.zeros((64, 64), bool)
    known[:32, :40] = True
    new = LabelledImage("a", "new", images[0], np.where(known, LABELS, 0), 12.0, known=known)
    old = LabelledImage("b", "old", images[1], LABELS, 12.0)
    return PatchSampler(
        [new], 32, 3, AugmentParams(), TargetParams(), 0.5, 0, replay=[old], replay_share=0.4
    )


@pytest.mark.parametrize("freeze", ["none", "encoder", "all but heads"])
@pytest.mark.parametrize("batch_norm", ["keep", "adapt"])
def test_a_resumed_fine_tuning_equals_an_uninterrupted_one(freeze, batch_norm, tmp_path):
    config = TINY.replace(freeze=freeze, batch_norm=batch_norm, replay=0.4)
    whole = run(Trainer(config, corrections(), "cpu"), 4)
    run(Trainer(config, corrections(), "cpu"), 2).save(tmp_path / "a.safetensors", {})
    part = Trainer(config, corrections(), "cpu")
    part.load(tmp_path / "a.safetensors")
    run(part, 2)
    assert same(whole, part)
    averages = [trainer.average.state_dict().values() for trainer in (whole, part)]
    assert all(torch.equal(a, b) for a, b in zip(*averages, strict=True))
    assert not same(whole, Trainer(config, corrections(), "cpu"))


def short_of_memory(trainer, most, error):
    """Let a trainer fail on more than `most` patches at once; return the sizes that it tried."""
    enough, sizes = trainer.network.supervised, []

    def supervised(image):
        sizes.append(len(image))
        if len(image) > most:
            raise error
        return enough(image)

    trainer.network.supervised = supervised
    return sizes


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_short_of_memory_a_batch_is_worked_through_in_pieces(error, tmp_path):
    config = TINY.replace(batch_size=6, batch_norm="keep")
    seen = []

    class Noted(Patches):
        def batch(self, number, size):
            seen.append((number, size))
            return super().batch(number, size)

    trainer = Trainer(config, Noted(), "cpu")
    sizes = short_of_memory(trainer, 2, error)
    trainer.step()
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    assert seen[-6:] == [(k, 1) for k in range(6)]
    assert trainer.pieces == 6
    assert "6 pieces" in trainer.notes[-1]
    trainer.step()
    assert seen[-6:] == [(k, 1) for k in range(6, 12)]
    trainer.save(tmp_path / "a.safetensors", {})
    resumed = Trainer(config, Patches(), "cpu")
    resumed.load(tmp_path / "a.safetensors")
    assert resumed.pieces == 6


def test_the_gradients_of_pieces_add_up():
    """Of a loss that is a mean over pixels, to what the whole batch gives."""
    found = []
    for pieces in (1, 2):
        config = TINY.replace(
            batch_norm="keep", loss_params={"alpha": 1}, freeze="encoder", batch_size=4
        )
        trainer = Trainer(config, Whole(), "cpu")
        trainer.pieces = pieces
        trainer._gradients()
        found.append([p.grad for p in trainer.network.parameters() if p.grad is not None])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-3)


class Whole(Patches):
    """Batches whose pieces are parts of them."""

    def batch(self, number, size):
        image, targets = super().batch(0, 4)
        part = slice(number * size, (number + 1) * size)
        return image[part], {name: value[part] for name, value in targets.items()}


def test_without_memory_for_one_patch_it_is_said():
    trainer = Trainer(TINY, Patches(), "cpu")
    short_of_memory(trainer, 0, MemoryError())
    with pytest.raises(DeviceError, match="one patch"):
        trainer.step()
    assert same(trainer, Trainer(TINY, Patches(), "cpu"))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    trainer = Trainer(TINY, Patches(), "cpu")
    short_of_memory(trainer, 0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        trainer.step()


def test_a_gradient_that_is_no_number_changes_no_weight():
    trainer = run(Trainer(TINY, Patches(), "cpu"), 1)
    before = copy.deepcopy(trainer.network.state_dict())
    first = next(p for p in trainer.network.parameters())
    first.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingError, match="gradient became nan"):
        trainer.step()
    after = trainer.network.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before if "running" not in n
               and "num_batches" not in n)  # fmt: skip
    assert trainer.step_number == 1


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    trainer = run(Trainer(TINY, Patches(), "cpu"), 1)
    path = tmp_path / "a.safetensors"
    trainer.save(path, {"x": 1})
    content = path.read_bytes()
    run(trainer, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"disk is full.*last checkpoint is kept"):
        trainer.save(path, {"x": 2})
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
