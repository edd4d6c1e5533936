"""How long a fine-tuning will take on this computer, and how much memory, measured by a step."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.device import choose_device, free_memory, has_fast_bfloat16
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.settings import FineTuneSettings, typical_diameter
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.zoo.card import Card

if TYPE_CHECKING:
    from napari_cellseg.core.training.trainer import Trainer

_TIMED_STEPS = 2
_SAMPLE_BATCH = 2  # on a processor, where a batch takes as long as its patches one by one
_FORWARD = 0.35  # share of a step that a prediction of as many pixels takes
_HELD_OUT = 0.25  # of the pixels
_LARGEST_VALIDATED = 768**2  # px of an image
_REPLAY_PIXELS = 29 * 256**2  # of the included models, see `ReplaySet.judged`
_OVERHEAD = 12.0  # s: program, model, fitting and the self-test of the new model
_STATES = 20  # bytes a weight: itself, its average, its gradient, two moments
_PROGRAM = 700 * 2**20  # bytes of torch and the rest before any image
_BYTES_A_PIXEL = 24  # of an image, its labels and masks
_SPARE = 1.4  # gradients and buffers on top of what is kept for the backward pass


@dataclass(frozen=True)
class Estimate:
    """What a fine-tuning will ask for.

    Attributes
    ----------
    seconds
        From start to verdict; early stopping may end it sooner.
    memory_bytes
        Most memory of the training program at a time, on the device that computes.
    note
        One or two sentences for the user.
    """

    seconds: float
    memory_bytes: int
    note: str


@dataclass(frozen=True)
class _Measured:
    """A training step: its time, the bytes kept for its backward pass, weights of the network."""

    seconds: float
    kept: float
    weights: int


def estimate(
    settings: FineTuneSettings, parent: Card, sources: Sequence[Source], device: str = "auto"
) -> Estimate:
    """Take a few real training steps on a made-up image, and reckon from them.

    Within a factor of two if nothing else keeps the computer busy; it takes a second or two, so it
    is no work for the thread of a window.

    Parameters
    ----------
    settings
        Of the fine-tuning.
    parent
        Card of the model to start from; its weights are not needed.
    sources
        What is trained on.
    device
        As of `choose_device`.

    Raises
    ------
    DataError
        If no source holds an object.
    DeviceError, SettingsError
        As `choose_device` and `FineTuneSettings.training` say.
    """
    config = settings.training(parent, sources)
    place = choose_device(device).device
    if settings.precision == "auto" and has_fast_bfloat16(place):
        config = config.replace(precision="bfloat16")
    one = _measure(config, parent, place)
    budget = math.inf if config.minutes is None else 60 * config.minutes
    training = min(config.steps * one.seconds, budget)
    steps = max(1, round(training / one.seconds))
    around = _around(config, sources, one, steps)
    pixels = sum(source.labels.size for source in sources)
    memory = _PROGRAM + _STATES * one.weights + round(_SPARE * one.kept) + _BYTES_A_PIXEL * pixels
    return Estimate(training + around, memory, _note(steps, one, memory, config, place))


def _measure(config: TrainConfig, parent: Card, device: str) -> _Measured:
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.inference.effort import release_memory

    batch = min(_SAMPLE_BATCH, config.batch_size) if device == "cpu" else config.batch_size
    larger = config.batch_size / batch
    storages: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    random = torch.get_rng_state()
    # A single step, so that a detector trains all of itself and not its guide alone.
    trainer = _trainer(config.replace(batch_size=batch, steps=1, minutes=None), parent, device)
    weights = sum(parameter.numel() for parameter in trainer.network.parameters())
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.step()
    started = time.perf_counter()
    for _ in range(_TIMED_STEPS):
        trainer.step()  # its loss comes back from the device, so it is done by then
    seconds = (time.perf_counter() - started) / _TIMED_STEPS
    torch.set_rng_state(random)
    del trainer
    release_memory(device)
    return _Measured(seconds * larger, sum(storages.values()) * larger, weights)


def _trainer(config: TrainConfig, parent: Card, device: str) -> Trainer:
    """Return a trainer of a network with random weights, on a made-up image."""
    from napari_cellseg.core.data.patches import PatchSampler
    from napari_cellseg.core.training.detection import make_trainer
    from napari_cellseg.core.training.object_types import object_types

    sampler = PatchSampler(
        [_made_up(config.patch_size, parent.object_diameter)],
        config.patch_size,
        parent.in_channels,
        config.augment,
        config.targets,
        config.touching,
        config.seed,
        object_types(config),
    )
    return make_trainer(config, sampler, device)


def _made_up(side: int, diameter: float) -> LabelledImage:
    """Return an image full of discs of a diameter, as many as lie apart."""
    pitch = max(8, round(1.5 * diameter))
    rows, columns = np.indices((side, side))
    inside = np.hypot(rows % pitch - pitch / 2, columns % pitch - pitch / 2) < diameter / 2
    across = side // pitch + 1
    labels = np.where(inside, rows // pitch * across + columns // pitch + 1, 0).astype(np.int32)
    noise = np.random.default_rng(0).random((side, side)) / 4
    image = (0.5 * inside + noise).astype(np.float16)[..., None]
    return LabelledImage("", "", image, labels, diameter)


def _around(config: TrainConfig, sources: Sequence[Source], one: _Measured, steps: int) -> float:
    """Return the seconds of all that is not training: validations, fitting, the comparison."""
    step_pixels = config.batch_size * config.patch_size**2
    predicting = _FORWARD * one.seconds / step_pixels  # s a pixel of the network
    typical = typical_diameter(sources)
    area = (config.diameter / typical) ** 2 if config.diameter and typical else 1.0
    sizes = [source.labels.size * area for source in sources]
    held_out = max(1, round(_HELD_OUT * len(sizes)))
    share = 1.0 if len(sizes) > 1 else _HELD_OUT
    looked_at = sorted(sizes, reverse=True)[: min(held_out, config.validation_images)]
    validated = sum(min(share * size, _LARGEST_VALIDATED) for size in looked_at)
    epochs = math.ceil(steps / config.epoch_steps)
    compared = 2 * (held_out / len(sizes) * sum(sizes) + _REPLAY_PIXELS)
    fitted = min(1.0, 8 / len(sizes)) * sum(sizes)
    return _OVERHEAD + predicting * (epochs * validated + compared + fitted)


def _note(steps: int, one: _Measured, memory: int, config: TrainConfig, device: str) -> str:
    each = "1 step" if steps == 1 else f"{steps} steps"
    text = f"{each} of {one.seconds:.2g} s on {device}, then the comparison."
    if steps < config.epoch_steps:
        text += " The time is short: only one validation."
    free = free_memory(device)
    if free is not None and memory > free:
        text += (
            f" That needs {memory / 2**30:.1f} GB of memory, and {free / 2**30:.1f} GB are free: "
            "choose a smaller batch or patch, or close other programs."
        )
    return text
