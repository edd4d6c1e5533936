"""The registry of losses, what they share, and their sum over the maps of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params, Registry


class Loss:
    """A loss of one map: logits and target in, a scalar out.

    A map of one channel has logits and target ``(B, 1, Y, X)``; the target holds 0 and 1. The map
    ``"classes"`` has logits ``(B, K, Y, X)`` and a target ``(B, 1, Y, X)`` of indices 0 to K - 1.
    """

    Params: type[Params] = Params

    def __init__(self, params: Any = None) -> None:
        self.params = params or self.Params()

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of the map called `name`."""
        raise TypeError(f"{type(self).__name__} does not say how it is computed")


UNKNOWN = -1
"""Value of a target where the truth is not known: the loss and its gradient are exactly 0 there."""

LOSSES: Registry[type[Loss]] = Registry("loss", __package__)


def total_loss(
    loss: Loss,
    outputs: Sequence[Mapping[str, torch.Tensor]],
    targets: Mapping[str, torch.Tensor],
    auxiliary_weight: float = 1.0,
) -> torch.Tensor:
    """Return the mean of `loss` over the maps of a network, over all supervised outputs.

    Parameters
    ----------
    outputs
        The prediction, then the auxiliary outputs of a deeply supervised network, each by map name.
    targets
        By map name. Pixels of a map that are `UNKNOWN` take no part in its loss.
    auxiliary_weight
        Weight of each auxiliary output; the prediction has 1.
    """
    total = _mean_loss(loss, outputs[0], targets)
    for output in outputs[1:]:
        total = total + auxiliary_weight * _mean_loss(loss, output, targets)
    return total


def _mean_loss(
    loss: Loss, output: Mapping[str, torch.Tensor], targets: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    parts = []
    for name, logits in output.items():
        known, target = _known(logits, targets[name])
        # a mean over no pixel would be no number
        parts.append(loss(known, target, name) if target.numel() else logits.sum() * 0)
    return torch.stack(parts).mean()


def _known(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pixels whose truth is known alone, as one image ``(1, K, N, 1)``."""
    known = target[:, 0] != UNKNOWN
    if bool(known.all()):
        return logits, target
    return logits.movedim(1, -1)[known].T[None, :, :, None], target[:, 0][known][
        None, None, :, None
    ]
