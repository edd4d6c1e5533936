"""The state of a training run: network, average, optimiser; one step; saving and resuming."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import make_targets
from napari_cellseg.core.errors import DeviceError, SettingsError, TrainingError
from napari_cellseg.core.inference.effort import is_out_of_memory, release_memory
from napari_cellseg.core.losses import LOSSES, total_loss
from napari_cellseg.core.models.detector import build_network
from napari_cellseg.core.models.registry import DenseModel, Maps
from napari_cellseg.core.training import averaging, checkpoint
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.forms import quicken
from napari_cellseg.core.training.freezing import freeze, switch_to_training
from napari_cellseg.core.training.object_types import object_types
from napari_cellseg.core.training.optimizers import make_optimizer
from napari_cellseg.core.training.schedules import learning_rate
from napari_cellseg.core.training.teacher import Teacher


class Trainer:
    """Network, weight average, optimiser and counters of one run.

    Parameters
    ----------
    config
        Settings of the run.
    sampler
        Where batches come from.
    device
        Torch device, such as ``"cuda"``.
    weights
        Weights to start from; random ones by default.
    teacher
        Adds a loss on unlabelled images.

    Attributes
    ----------
    pieces
        Into how many pieces a batch is cut that memory does not hold; their gradients add up.
    notes
        Sentences about that which the user has not been told yet.
    """

    def __init__(
        self,
        config: TrainConfig,
        sampler: PatchSampler,
        device: str,
        weights: Mapping[str, torch.Tensor] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.config, self._sampler, self.device = config, sampler, torch.device(device)
        torch.manual_seed(config.seed)
        network: Any = build_network(config.model, config.model_params)
        if weights is not None:
            network.load_state_dict(weights)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.average: Any = copy.deepcopy(self.network).eval()
        for parameter in self.average.parameters():
            parameter.requires_grad_(False)
        freeze(self.network, config)
        quicken(self.network, config, self.device.type)
        self._learning = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(config, self._learning)
        loss = LOSSES[config.loss]
        self._loss = loss(loss.Params.parse(config.loss_params))
        self.teacher = teacher
        self.losses: list[float] = []  # of the steps since the last validation
        self.scores: list[float] = []  # of all validations, for a rate that depends on them
        self.pieces, self.notes = 1, list[str]()
        self.step_number = 0
        self.seconds = 0.0  # of training, over all resumed parts

    @property
    def fraction(self) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        by_step = self.step_number / self.config.steps
        if self.config.minutes is None:
            return by_step
        return max(by_step, self.seconds / (60 * self.config.minutes))

    def learning_rate(self) -> float:
        """Return the rate of the next step."""
        return learning_rate(self.config, self.fraction, self.step_number, self.scores)

    def step(self) -> float:
        """Take one optimiser step and return its loss.

        Raises
        ------
        DeviceError
            If memory does not hold even a single patch.
        TrainingError
            If the loss or a gradient is not finite; weights are then as they were before the step.
        """
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        value = self._gradients()
        norm = torch.nn.utils.clip_grad_norm_(self._learning, 5.0)
        if not math.isfinite(norm):
            raise self._spoilt("A gradient", float(norm))
        self.optimizer.step()
        self.step_number += 1
        averaging.follow(self.average, self.network, self.config.ema, self.step_number)
        return value

    def _gradients(self) -> float:
        """Compute the gradients of the next batch, in pieces where memory is short."""
        while True:
            try:
                return sum(self._gradients_of(piece) for piece in range(self.pieces))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            self.optimizer.zero_grad(set_to_none=True)
            release_memory(str(self.device))
            self._halve()

    def _halve(self) -> None:
        size = self.config.batch_size
        finer = [n for n in range(self.pieces + 1, size + 1) if size % n == 0]
        if not finer:
            raise DeviceError(
                "The memory is not enough to train even on one patch at a time: choose smaller "
                "patches or the CPU, or close other programs."
            )
        self.pieces = next((n for n in finer if n >= 2 * self.pieces), finer[-1])
        self.notes.append(
            f"Out of memory on {self.device}: batches are worked through in {self.pieces} pieces."
        )

    def _gradients_of(self, piece: int) -> float:
        """Add the gradients of a piece of the next batch and return its share of the loss."""
        if piece == 0:
            self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(piece) / self.pieces
        value = loss.item()
        if not math.isfinite(value):
            raise self._spoilt("The loss", value)
        torch.autograd.backward(loss)
        return value

    def _spoilt(self, what: str, value: float) -> TrainingError:
        return TrainingError(
            f"{what} became {value} at step {self.step_number}. Lower the learning rate; "
            "the last checkpoint is kept."
        )

    def loss(self, piece: int = 0) -> torch.Tensor:
        """Return the loss of a piece of the next batch."""
        number, size = self.step_number * self.pieces + piece, self.config.batch_size // self.pieces
        image, targets = self._sampler.batch(number, size)
        targets = {name: target.to(self.device) for name, target in targets.items()}
        switch_to_training(self.network, self.config)
        with self._autocast():
            outputs = self.network.supervised(image.to(self.device))
        loss = total_loss(self._loss, outputs, targets, self.config.auxiliary_weight)
        if self.teacher:
            loss = loss + self.teacher.loss(self.network, number, size)
        return loss

    def loss_of(self, logits: Maps, image: LabelledImage) -> float:
        """Return the loss of a prediction of a whole labelled image, ``(1, K, Y, X)`` each map."""
        config = self.config
        types = object_types(config)
        maps = make_targets(image.labels, config.targets, image.classes, types, image.known)
        targets = {k: torch.from_numpy(v)[None, None].to(self.device) for k, v in maps.items()}
        return total_loss(self._loss, [logits], targets).item()

    def settle(self) -> None:
        """Make the average fit for use: give it means and variances of its own.

        They are those of the last batches that it learnt from. Networks that find objects one by
        one keep the average of the running ones.
        """
        switch_to_training(self.network, self.config)
        norms = averaging.adapting(self.network, self.average)
        stop, size = self.step_number * self.pieces, self.config.batch_size // self.pieces
        numbers = range(max(0, stop - averaging.BATCHES), stop)
        if not norms or not numbers or not isinstance(self.average, DenseModel):
            return
        batches = (self._sampler.batch(k, size)[0].to(self.device) for k in numbers)
        with self._autocast():
            averaging.settle(self.average, norms, batches)

    def _autocast(self) -> torch.autocast:
        reduced = self.config.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=reduced)

    def save(self, path: Path, extra: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically, as safetensors; `extra` must be plain JSON values.

        Raises
        ------
        OutputError
            If the file cannot be written; an older checkpoint is then still whole.
        """
        optimizer, groups = checkpoint.optimizer_state(self.optimizer)
        tensors = {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"average.{name}": value for name, value in self.average.state_dict().items()},
            **{f"optimizer.{name}": value for name, value in optimizer.items()},
            "random": torch.get_rng_state(),
        }
        counters = {
            "step": self.step_number,
            "seconds": self.seconds,
            "losses": self.losses,
            "scores": self.scores,
            "pieces": self.pieces,
        }
        values = {"counters": counters, "groups": groups, "extra": extra}
        metadata = {"config": self.config.model_dump_json(), **checkpoint.to_json(values)}
        checkpoint.write_checkpoint(path, tensors, metadata)

    def load(self, path: Path) -> dict[str, Any]:
        """Go on from a checkpoint and return what was saved as ``extra``.

        Raises
        ------
        TrainingError
            If there is no checkpoint, it is damaged, or it belongs to other settings.
        """
        tensors, metadata = checkpoint.read_checkpoint(path)
        try:
            saved = TrainConfig.parse(json.loads(metadata["config"]))
            checkpoint.check_same(saved, self.config)
            self._restore(tensors, metadata)
            extra: dict[str, Any] = json.loads(metadata["extra"])
        except (KeyError, SettingsError) as error:
            raise checkpoint.damaged(path) from error
        return extra

    def _restore(self, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        parts = checkpoint.split_names(tensors)
        self.network.load_state_dict(parts["network"])
        self.average.load_state_dict(parts["average"])
        quicken(self.network, self.config, self.device.type)  # fixed weights may be others now
        groups = json.loads(metadata["groups"])
        checkpoint.restore_optimizer(self.optimizer, parts.get("optimizer", {}), groups)
        torch.set_rng_state(tensors["random"])
        counters = json.loads(metadata["counters"])
        self.step_number, self.seconds = int(counters["step"]), float(counters["seconds"])
        self.losses, self.scores = counters.get("losses", []), counters.get("scores", [])
        self.pieces = int(counters.get("pieces", 1))
