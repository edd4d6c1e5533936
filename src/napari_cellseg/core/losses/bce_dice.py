"""Cross-entropy plus Dice with squared denominators (HARU-Net, Chen et al.)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params
from napari_cellseg.core.losses._forms import dice, log_probabilities, regions
from napari_cellseg.core.losses.registry import LOSSES, Loss


class BceDiceParams(Params):
    """Parameters of cross-entropy plus Dice."""

    dice_weight: float = Field(
        1.0, ge=0, le=100, title="Weight of Dice", description="Cross-entropy has 1."
    )
    smooth: float = Field(
        1.0, gt=0, le=1e6, title="Smoothing", description="Added to both sides of Dice, in pixels."
    )


@LOSSES.register("bce-dice")
class BceDiceLoss(Loss):
    """Loss of one map in HARU-Net, eq. 4 to 6: ``CE + 1 - 2 sum(p g) / (sum(p^2) + sum(g^2))``.

    The paper prints eq. 4 as a sum over pixels; read as their mean, else Dice would not count
    beside it. It prints eq. 5 as a sum of quotients; read as the quotient of sums (Milletari et al.
    2016). Dice is taken over the whole batch. For ``"classes"`` the cross-entropy is categorical,
    and Dice is the mean over the object types.
    """

    Params = BceDiceParams
    params: BceDiceParams

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of the map called `name`; 0 is best."""
        smooth = self.params.smooth
        right, _ = log_probabilities(logits, target, name)
        probability, truth = regions(logits, target, name)
        missed = 1 - dice(probability, truth, smooth, smooth, power=2)
        return self.params.dice_weight * missed - right.mean()
