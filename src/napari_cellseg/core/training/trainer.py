"""The state of a training run: network, average, optimiser; one step; saving and resuming."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.errors import OutputError, SettingsError, TrainingError
from napari_cellseg.core.losses import LOSSES, total_loss
from napari_cellseg.core.models.detector import build_network
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.optimizers import make_optimizer
from napari_cellseg.core.training.precision import keep_depthwise_float32
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
        if config.precision == "bfloat16":
            keep_depthwise_float32(self.network)
        self.optimizer = make_optimizer(config, self.network.parameters())
        loss = LOSSES[config.loss]
        self._loss = loss(loss.Params.parse(config.loss_params))
        self.teacher = teacher
        self.losses: list[float] = []  # of the steps since the last validation
        self.scores: list[float] = []  # of all validations, for a rate that depends on them
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
        TrainingError
            If the loss is not finite; weights are then as they were before the step.
        """
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.loss()
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss became {value} at step {self.step_number}. Lower the learning rate; "
                "the last checkpoint is kept."
            )
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step_number += 1
        self._update_average()
        return value

    def loss(self) -> torch.Tensor:
        """Return the loss of the next batch."""
        image, targets = self._sampler.batch(self.step_number, self.config.batch_size)
        targets = {name: target.to(self.device) for name, target in targets.items()}
        self.network.train()
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"
        ):
            outputs = self.network.supervised(image.to(self.device))
        loss = total_loss(self._loss, outputs, targets, self.config.auxiliary_weight)
        if self.teacher:
            loss = loss + self.teacher.loss(self.network, self.step_number)
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on the average must follow quickly: the first weights are random.
        decay = min(self.config.ema, (1 + self.step_number) / (10 + self.step_number))
        if not self.config.ema:
            decay = 0.0
        new = self.network.state_dict()
        for name, old in self.average.state_dict().items():
            if old.dtype.is_floating_point:
                old.lerp_(new[name], 1 - decay)
            else:
                old.copy_(new[name])

    def save(self, path: Path, extra: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically, as safetensors; `extra` must be plain JSON values.

        Raises
        ------
        OutputError
            If the file cannot be written; an older checkpoint is then still whole.
        """
        optimizer = self.optimizer.state_dict()
        tensors = {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"average.{name}": value for name, value in self.average.state_dict().items()},
            **{
                f"optimizer.{number}.{name}": value
                for number, values in optimizer["state"].items()
                for name, value in values.items()
                if value is not None  # of SGD without momentum
            },
            "random": torch.get_rng_state(),
        }
        counters = {
            "step": self.step_number,
            "seconds": self.seconds,
            "losses": self.losses,
            "scores": self.scores,
        }
        metadata = {
            "config": self.config.model_dump_json(),
            "counters": json.dumps(counters),
            "groups": json.dumps(optimizer["param_groups"]),
            "extra": json.dumps(extra),
        }
        partial = path.with_suffix(".partial")
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        try:
            partial.write_bytes(gated_import("safetensors.torch").save(contiguous, metadata))
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(
                f"The checkpoint '{path}' cannot be written: {error.strerror or error}. "
                "Free some space, then resume the run."
            ) from error

    def load(self, path: Path) -> dict[str, Any]:
        """Go on from a checkpoint and return what was saved as ``extra``.

        Raises
        ------
        TrainingError
            If there is no checkpoint, it is damaged, or it belongs to other settings.
        """
        if not path.is_file():
            raise TrainingError(f"There is no checkpoint '{path}' to resume. Start a new run.")
        try:
            with gated_import("safetensors").safe_open(path, "pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self._check_same(TrainConfig.parse(json.loads(metadata["config"])))
            self._restore(tensors, metadata)
            extra: dict[str, Any] = json.loads(metadata["extra"])
        except (gated_import("safetensors").SafetensorError, KeyError, SettingsError) as error:
            raise TrainingError(
                f"The checkpoint '{path}' is damaged. Remove it and start a new run."
            ) from error
        return extra

    def _restore(self, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        self.network.load_state_dict(parts["network"])
        self.average.load_state_dict(parts["average"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts.get("optimizer", {}).items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        groups = json.loads(metadata["groups"])
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        counters = json.loads(metadata["counters"])
        self.step_number, self.seconds = int(counters["step"]), float(counters["seconds"])
        self.losses = [float(loss) for loss in counters.get("losses", [])]
        self.scores = [float(score) for score in counters.get("scores", [])]

    def _check_same(self, saved: TrainConfig) -> None:
        budget = {"steps", "minutes", "patience"}
        old, new = saved.model_dump(exclude=budget), self.config.model_dump(exclude=budget)
        changed = [name for name in new if new[name] != old[name]]
        if changed:
            raise TrainingError(
                f"The checkpoint was made with another '{changed[0]}' ({old[changed[0]]}). "
                "Use the same settings, or start a new run."
            )
