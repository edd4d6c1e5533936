"""IAU-Net, the improved attention U-Net with a deformable last layer (Liu et al.)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import DeformableConv, ResidualBlock, ResidualGate
from napari_cellseg.core.models.registry import MODELS, DenseModel, Maps, ModelParams
from napari_cellseg.core.models.width import level_channels

nn = torch.nn
functional = torch.nn.functional


class IAUNetParams(ModelParams):
    """Parameters of IAU-Net."""

    attention: bool = Field(
        True, title="Attention gates", description="Gate every enlarged map of the decoder."
    )
    deformable: bool = Field(
        True,
        title="Deformable last layer",
        description="Let the kernel of the last layer follow the shape of the cells; "
        "off, it is a plain 3 x 3 convolution, which is much faster on a processor.",
    )


class _Step(nn.Module):
    """Enlarge, gate by the encoder's map of that level, concatenate the two, residual block."""

    def __init__(self, inputs: int, outputs: int, attention: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.gate = ResidualGate(outputs, outputs) if attention else None
        self.block = ResidualBlock(2 * outputs, outputs)

    def forward(self, deep: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        x = self.up(deep)
        if self.gate is not None:
            x = self.gate(x, encoded)
        result: torch.Tensor = self.block(torch.cat([encoded, x], dim=1))
        return result


@MODELS.register("iau-net")
class IAUNet(DenseModel):
    """U-Net of residual blocks, with residual gates in the decoder and a deformable last layer.

    The paper prints no widths; read as 32 to 512 on five levels. It does not say whether the
    encoder's map, which steers the gate, is also concatenated; read as yes, as in every U-Net. It
    predicts classes alone and has no rule for objects: maps of foreground and contour are added.
    """

    Params = IAUNetParams
    stride = 16

    def __init__(self, params: IAUNetParams) -> None:
        super().__init__(params)
        widths = level_channels(params.width)
        inputs = [params.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(map(ResidualBlock, inputs, widths))
        self.decoder = nn.ModuleList(
            _Step(deep, shallow, params.attention)
            for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        first = widths[0]
        self.last = (
            DeformableConv(first, first)
            if params.deformable
            else nn.Conv2d(first, first, 3, padding=1)
        )
        self.activation = nn.ReLU(inplace=True)
        self.head = nn.Conv2d(first, sum(params.map_channels.values()), 1)

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 16."""
        x, encoded = image, []
        for level, block in enumerate(self.encoder):
            x = block(functional.max_pool2d(x, 2) if level else x)
            encoded.append(x)
        for step, skip in zip(self.decoder, encoded[-2::-1], strict=True):
            x = step(x, skip)
        return self.split(self.head(self.activation(self.last(x))))
