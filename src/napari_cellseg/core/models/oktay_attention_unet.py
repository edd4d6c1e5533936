"""Attention U-Net with the ordinary encoder of a U-Net (Oktay et al. 2018)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import DoubleConv, UNetStep
from napari_cellseg.core.models.registry import MODELS, DenseModel, Maps, ModelParams
from napari_cellseg.core.models.width import level_channels

nn = torch.nn
functional = torch.nn.functional

_WIDTHS = {"base": (64, 128, 256, 512, 1024), "small": (16, 32, 64, 128, 256)}


class OktayAttentionUNetParams(ModelParams):
    """Parameters of the Attention U-Net."""

    attention: bool = Field(
        True,
        title="Attention gates",
        description="Gate every skip connection; off, this is the U-Net of Ronneberger et al.",
    )


@MODELS.register("oktay-attention-unet")
class OktayAttentionUNet(DenseModel):
    """U-Net of five levels whose skip connections are gated by the next coarser decoder map.

    The encoder is that of Ronneberger et al. (2015), 64 to 1024 channels, with padded convolutions
    and batch normalisation. The baseline of the papers' tables that bears the name Attention U-Net.
    """

    Params = OktayAttentionUNetParams
    stride = 16

    def __init__(self, params: OktayAttentionUNetParams) -> None:
        super().__init__(params)
        widths = level_channels(params.width, _WIDTHS)
        inputs = [params.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(map(DoubleConv, inputs, widths))
        self.decoder = nn.ModuleList(
            UNetStep(deep, skip, skip, params.attention)
            for deep, skip in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], sum(params.map_channels.values()), 1)

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 16."""
        x, encoded = image, []
        for level, block in enumerate(self.encoder):
            x = block(functional.max_pool2d(x, 2) if level else x)
            encoded.append(x)
        for step, skip in zip(self.decoder, encoded[-2::-1], strict=True):
            x = step(x, skip)
        return self.split(self.head(x))
