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
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
