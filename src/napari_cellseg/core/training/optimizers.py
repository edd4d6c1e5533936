"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Iterable

from napari_cellseg.core._torch import torch
from napari_cellseg.core.training.config import TrainConfig


def make_optimizer(
    config: TrainConfig, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Make the optimiser that a run's settings name.

    Parameters
    ----------
    config
        Its ``optimizer``, ``learning_rate``, ``weight_decay`` and ``momentum`` count.
    parameters
        What is optimised.
    """
    rate, decay = config.learning_rate, config.weight_decay
    learning = list(parameters)
    if config.optimizer == "sgd":
        return torch.optim.SGD(learning, lr=rate, momentum=config.momentum, weight_decay=decay)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    # One pass over each tensor where it else takes a dozen; MPS has it only in some versions.
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in learning)
    return kind(learning, lr=rate, weight_decay=decay, fused=fused or None)
