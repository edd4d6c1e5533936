"""Focal Tversky loss (IAU-Net, Liu et al.; Abraham & Khan 2019)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params
from napari_cellseg.core.losses._forms import regions
from napari_cellseg.core.losses.registry import LOSSES, Loss

_LEAST = 1e-7  # below it a root has no finite gradient


class FocalTverskyParams(Params):
    """Parameters of the focal Tversky loss."""

    alpha: float = Field(
        0.7,
        ge=0,
        le=1,
        title="Weight of false foreground",
        description="Above 0.5 false foreground costs more than missed foreground.",
    )
    contour_alpha: float = Field(
        0.3,
        ge=0,
        le=1,
        title="Weight of false contour",
        description="The same for contours, which are thin and therefore easily missed.",
    )
    gamma: float = Field(
        0.75,
        ge=0.1,
        le=10,
        title="Focus",
        description="Below 1 the loss stays steep where most is right already.",
    )
    smooth: float = Field(
        1.0,
        gt=0,
        le=1e6,
        title="Smoothing",
        description="Added to both sides of the index, in pixels.",
    )


@LOSSES.register("focal-tversky")
class FocalTverskyLoss(Loss):
    """Focal Tversky loss of IAU-Net, eq. 1: ``(1 - TI)^gamma``.

    ``TI = (TP + e) / (TP + alpha FP + (1 - alpha) FN + e)`` with sums over the whole batch. The
    paper prints a factor (1 - alpha) and no gamma, which its text explains; read as the usual form.
    Its "very small" e is one pixel, else a batch without foreground would have no gradient. For
    ``"classes"`` it is the mean over the object types.
    """

    Params = FocalTverskyParams
    params: FocalTverskyParams

    def __call__(self, logits: torch.Tensor, target: torch.Tensor, name: str) -> torch.Tensor:
        """Return the loss of the map called `name`; 0 is best."""
        params = self.params
        alpha = params.contour_alpha if name == "contour" else params.alpha
        probability, truth = regions(logits, target, name)
        found = (probability * truth).sum(1)
        false = (probability * (1 - truth)).sum(1)
        missed = ((1 - probability) * truth).sum(1)
        index = (found + params.smooth) / (
            found + alpha * false + (1 - alpha) * missed + params.smooth
        )
        return (1 - index).clamp(min=_LEAST).pow(params.gamma).mean()
