"""The average of the weights: how it follows the steps, and what it normalises by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.training.freezing import NORMS

BATCHES = 16
"""Batches that statistics are taken from; the forward pass of one is a third of a step."""


@torch.no_grad()
def follow(average: torch.nn.Module, network: torch.nn.Module, decay: float, step: int) -> None:
    """Move an exponential moving average towards the weights after a step.

    Parameters
    ----------
    decay
        Share of the average that stays; 0 makes it a copy.
    step
        Steps that were taken: early on the average follows quickly, as the first weights are
        random.
    """
    decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
    new = network.state_dict()
    olds, news = [], []
    for name, old in average.state_dict().items():
        if old.dtype.is_floating_point:
            olds.append(old)
            news.append(new[name])
        else:
            old.copy_(new[name])
    torch._foreach_lerp_(olds, news, 1 - decay)


def adapting(network: torch.nn.Module, average: torch.nn.Module) -> list[Any]:
    """Return those normalisations of `average` that follow the batches in `network`.

    Parameters
    ----------
    network
        What takes the steps, in training mode as far as it learns.
    average
        The same network with averaged weights.
    """
    pairs = zip(network.modules(), average.modules(), strict=True)
    return [norm for now, norm in pairs if isinstance(norm, NORMS) and now.training]


@torch.no_grad()
def settle(network: torch.nn.Module, norms: list[Any], batches: Iterable[torch.Tensor]) -> None:
    """Take means and variances anew: as mean over batches, with the weights of now.

    A running average over the steps belongs to the weights that the network had then, and with a
    momentum of 0.01, as in EfficientNet, lags by a hundred steps; after a short training it
    describes none. See Izmailov et al. (2018), Averaging weights leads to wider optima, sec. 3.2,
    and Wu & Johnson (2021), Rethinking "batch" in BatchNorm, sec. 3.

    Parameters
    ----------
    network
        In evaluation mode, and left in it: nothing is left out by chance.
    norms
        Those of its normalisations that are measured.
    batches
        Inputs ``(B, C, Y, X)``.
    """
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # all batches count alike
        norm.train()
    try:
        for batch in batches:
            network(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
