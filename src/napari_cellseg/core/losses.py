"""Losses for probability maps, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params, Registry

functional = torch.nn.functional


class Loss:
    """A loss of one map: logits and target ``(B, 1, Y, X)`` in, a scalar out."""

    Params: type[Params] = Params

    def __init__(self, params: Any = None) -> None:
        self.params = params or self.Params()

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of the map called `name`."""
        raise TypeError(f"{type(self).__name__} does not say how it is computed")


LOSSES: Registry[type[Loss]] = Registry("loss", __name__)


class ComboParams(Params):
    """Parameters of the combo loss."""

    alpha: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Share of cross-entropy",
        description="1 is cross-entropy alone, 0 is Dice alone.",
    )
    beta: float = Field(
        0.5,
        gt=0,
        lt=1,
        title="Weight of missed pixels",
        description="Above 0.5 missed foreground costs more than false foreground.",
    )
    contour_beta: float = Field(
        0.75,
        gt=0,
        lt=1,
        title="Weight of missed contour",
        description="The same for contours, which are thin and therefore easily missed.",
    )
    smooth: float = Field(
        1.0, gt=0, le=1e6, title="Smoothing", description="Added to both sides of Dice, in pixels."
    )


@LOSSES.register("combo")
class ComboLoss(Loss):
    """Combo loss of Abbas & Abdulmunim (2023), eq. 1: ``alpha BCE_beta - (1 - alpha) Dice``.

    The paper prints eq. 1 without a logarithm and parentheses; read as
    ``BCE_beta = -1/N sum [beta y log p + (1 - beta) (1 - y) log(1 - p)]``. Dice is taken over the
    whole batch. The smallest value is ``-(1 - alpha)``.
    """

    Params = ComboParams
    params: ComboParams

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of one map.

        Parameters
        ----------
        logits, target
            ``(B, 1, Y, X)``; the target holds 0 and 1.
        name
            Name of the map; ``"contour"`` is weighted by ``contour_beta``.
        """
        params = self.params
        beta = params.contour_beta if name == "contour" else params.beta
        logits = logits.float()
        # log-sigmoid keeps value and gradient finite for any logit
        entropy = -(
            beta * target * functional.logsigmoid(logits)
            + (1 - beta) * (1 - target) * functional.logsigmoid(-logits)
        ).mean()
        probability = torch.sigmoid(logits)
        overlap = (probability * target).sum()
        dice = (2 * overlap + params.smooth) / (probability.sum() + target.sum() + params.smooth)
        loss: torch.Tensor = params.alpha * entropy - (1 - params.alpha) * dice
        return loss


def total_loss(
    loss: Loss, logits: Mapping[str, torch.Tensor], targets: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Return the mean of `loss` over all maps of a network."""
    parts = [loss(logits[name], targets[name], name) for name in logits]
    return torch.stack(parts).mean()
