"""Cross-entropy and Dice in one (Abbas & Abdulmunim 2023)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params
from napari_cellseg.core.losses._forms import dice, regions
from napari_cellseg.core.losses.registry import LOSSES, Loss

functional = torch.nn.functional


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
    whole batch. The smallest value is ``-(1 - alpha)``. For ``"classes"`` the cross-entropy is
    categorical, beta weighs all object types and 1 - beta background, and Dice is the mean over
    the object types.
    """

    Params = ComboParams
    params: ComboParams

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of one map.

        Parameters
        ----------
        logits, target
            As for `Loss`.
        name
            Name of the map; ``"contour"`` is weighted by ``contour_beta``.
        """
        params = self.params
        beta = params.contour_beta if name == "contour" else params.beta
        logits = logits.float()
        entropy = (_entropy_of_classes if name == "classes" else _entropy)(logits, target, beta)
        probability, truth = regions(logits, target, name)
        overlap = dice(probability, truth, params.smooth, params.smooth)
        loss: torch.Tensor = params.alpha * entropy - (1 - params.alpha) * overlap
        return loss


def _entropy(logits: torch.Tensor, target: torch.Tensor, beta: float) -> torch.Tensor:
    # log-sigmoid keeps value and gradient finite for any logit
    return -(
        beta * target * functional.logsigmoid(logits)
        + (1 - beta) * (1 - target) * functional.logsigmoid(-logits)
    ).mean()


def _entropy_of_classes(logits: torch.Tensor, target: torch.Tensor, beta: float) -> torch.Tensor:
    weight = logits.new_full((logits.shape[1],), beta)
    weight[0] = 1 - beta
    index = target[:, 0].long()
    return functional.cross_entropy(logits, index, weight, reduction="none").mean()
