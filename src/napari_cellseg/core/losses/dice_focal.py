"""Focal loss and Dice loss in one (U-Net++ with attention gates, Yang et al. 2022)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params
from napari_cellseg.core.losses._forms import dice, log_probabilities, regions
from napari_cellseg.core.losses.registry import LOSSES, Loss


class DiceFocalParams(Params):
    """Parameters of the Dice focal loss."""

    focal_weight: float = Field(
        0.5, ge=0, le=100, title="Weight of the focal loss", description="Lambda_f of eq. 3."
    )
    dice_weight: float = Field(
        0.5, ge=0, le=100, title="Weight of Dice", description="Lambda_d of eq. 3."
    )
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        title="Share of foreground",
        description=(
            "Weight of foreground pixels in the focal loss; background has the rest up to 1. "
            "None gives both the weight 1."
        ),
    )
    gamma: float = Field(
        2.0,
        ge=0,
        le=10,
        title="Focus",
        description="The higher, the less pixels count that are easy; 0 is cross-entropy.",
    )
    smooth_up: float = Field(
        1.0, ge=0, le=1e6, title="Smoothing above", description="Dice's numerator, in pixels."
    )
    smooth_down: float = Field(
        1.0, gt=0, le=1e6, title="Smoothing below", description="Dice's denominator, in pixels."
    )


@LOSSES.register("dice-focal")
class DiceFocalLoss(Loss):
    """Dice focal loss of Yang et al. (2022), eq. 1 to 3: ``0.5 focal + 0.5 Dice``.

    ``focal = -mean(alpha (1 - p_t)^gamma log p_t)``; ``Dice`` is eq. 2 over the whole batch. The
    paper gives neither alpha, gamma nor the smoothing. For ``"classes"`` p_t is the softmax
    probability of the true class, and Dice is the mean over the object types.
    """

    Params = DiceFocalParams
    params: DiceFocalParams

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of the map called `name`; 0 is best."""
        params = self.params
        right, wrong = log_probabilities(logits, target, name)
        # a power of 1 - p_t has no finite gradient at 0 where gamma < 1; of its logarithm it has
        focal = -torch.exp(params.gamma * wrong) * right
        if params.alpha is not None:
            focal = focal * torch.where(target > 0, params.alpha, 1 - params.alpha)
        probability, truth = regions(logits, target, name)
        missed = 1 - dice(probability, truth, params.smooth_up, params.smooth_down)
        return params.focal_weight * focal.mean() + params.dice_weight * missed
