"""Weights between those of a parent and what was learnt from it."""

from __future__ import annotations

import copy

from napari_cellseg.core._torch import torch


@torch.no_grad()
def mixed(learnt: torch.nn.Module, parent: torch.nn.Module, share: float) -> torch.nn.Module:
    """Return a network whose weights are `share` of the parent's and the rest of what was learnt.

    A step back towards the parent brings back most of what was forgotten, and costs little of what
    was learnt (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", eq. 1, where
    alpha is 1 - `share`).

    Parameters
    ----------
    learnt
        Is left as it is.
    parent
        Of the same architecture and settings.
    share
        From 0 to 1.
    """
    network = copy.deepcopy(learnt)
    inherited = parent.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(inherited[name].to(value), share)
    return network
