"""The registry of network architectures and what they share: named maps, padding, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params, Registry

MODELS: Registry[type[DenseModel]] = Registry("model architecture", __package__)

Maps = dict[str, torch.Tensor]
MapName = Literal["foreground", "contour"]


class ModelParams(Params):
    """What every dense architecture accepts."""

    in_channels: int = Field(3, ge=1, le=64, title="Channels", description="Image channels.")
    maps: tuple[MapName, ...] = Field(
        ("foreground", "contour"),
        min_length=1,
        title="Maps",
        description="Names of the predicted maps, one logit each.",
    )
    width: Literal["base", "small"] | float = Field(
        "base",
        title="Width",
        description="'base' is the paper's size, 'small' fits a laptop; a number scales 'base'.",
    )

    @field_validator("width")
    @classmethod
    def _width_in_range(cls, width: str | float) -> str | float:
        if isinstance(width, float) and not 0.05 <= width <= 8:
            raise ValueError("a width given as a number must lie between 0.05 and 8")
        return width


class DenseModel(torch.nn.Module):
    """A network that maps an image to named maps of the same size.

    Subclasses set ``Params`` and ``stride`` (the factor between input and deepest features) and
    implement `forward_padded`, which may rely on sides that are multiples of ``stride``.
    """

    Params: type[ModelParams] = ModelParams
    stride: int = 32

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.params = params

    def forward(self, image: torch.Tensor) -> Maps:
        """Predict raw logits.

        Parameters
        ----------
        image
            ``(B, C, Y, X)``, float, intensities normalised to about [0, 1]; any Y and X >= 1.

        Returns
        -------
        dict
            For each name of ``params.maps`` logits ``(B, 1, Y, X)``.
        """
        height, width = image.shape[-2:]
        return {
            name: logits[..., :height, :width]
            for name, logits in self.forward_padded(_pad(image, self.stride)).items()
        }

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of ``stride``."""
        raise TypeError(f"{type(self).__name__} does not implement forward_padded")

    def split(self, logits: torch.Tensor) -> Maps:
        """Give each channel of ``(B, len(maps), Y, X)`` its map's name."""
        return {name: logits[:, k : k + 1] for k, name in enumerate(self.params.maps)}


def _pad(image: torch.Tensor, stride: int) -> torch.Tensor:
    """Pad below and right to multiples of `stride`, by reflection where that is possible."""
    height, width = image.shape[-2:]
    below, right = -height % stride, -width % stride
    if not (below or right):
        return image
    mode = "reflect" if below < height and right < width else "replicate"
    return torch.nn.functional.pad(image, (0, right, 0, below), mode=mode)


def build_model(architecture: str, params: Mapping[str, Any] | None = None) -> DenseModel:
    """Build a randomly initialised network.

    Parameters
    ----------
    architecture
        A name of ``MODELS``, such as ``"attention-unet"``.
    params
        Values for its ``Params``; missing ones take their defaults.

    Raises
    ------
    UnknownNameError
        If there is no such architecture.
    SettingsError
        If a parameter is unknown or out of range.
    """
    model = MODELS[architecture]
    return model(model.Params.parse(dict(params or {})))
