"""Residual U-blocks, small U-Nets inside a residual, and the fusion of side maps."""

from __future__ import annotations

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks.cbam import ChannelAttention
from napari_cellseg.core.models.blocks.convolution import ConvBlock

nn = torch.nn
functional = torch.nn.functional


def enlarge(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Interpolate `x` ``(B, C, Y, X)`` linearly to ``factor`` times its size."""
    if factor == 1:
        return x
    return functional.interpolate(
        x, scale_factor=float(factor), mode="bilinear", align_corners=False
    )


class ResidualUBlock(nn.Module):
    """RSU-L, a U-Net of height L whose input, after one convolution, is added to its output.

    ``H(x) = U(F(x)) + F(x)`` (Qin et al. 2020, "U2-Net", fig. 2 and section 3.1; Chen et al., fig.
    3). RSU-L halves the map L - 2 times; its lowest convolution is dilated by 2. RSU-4F keeps the
    size and dilates its convolutions by 1, 2, 4 and 8 instead.

    Parameters
    ----------
    height
        L: convolutions on the way down, the lowest one included.
    inputs, inner, outputs
        Channels of the input, inside the U, and of the result.
    dilated
        Dilate instead of pooling, as RSU-4F does.
    """

    def __init__(
        self, height: int, inputs: int, inner: int, outputs: int, dilated: bool = False
    ) -> None:
        super().__init__()
        self.dilated = dilated
        dilations = [2**k if dilated else 1 for k in range(height - 1)]
        self.enter = ConvBlock(inputs, outputs)
        self.down = nn.ModuleList(
            ConvBlock(inner if k else outputs, inner, dilation=d) for k, d in enumerate(dilations)
        )
        self.bottom = ConvBlock(inner, inner, dilation=2 ** (height - 1) if dilated else 2)
        self.up = nn.ModuleList(
            ConvBlock(2 * inner, inner if k else outputs, dilation=dilations[k])
            for k in reversed(range(height - 1))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x` ``(B, C, Y, X)``, sides multiples of ``2 ** (height - 2)``."""
        entered: torch.Tensor = self.enter(x)
        deep, skips = entered, []
        for number, conv in enumerate(self.down):
            if number and not self.dilated:
                deep = functional.max_pool2d(deep, 2)
            deep = conv(deep)
            skips.append(deep)
        deep = self.bottom(deep)
        for number, conv in enumerate(self.up):
            if number and not self.dilated:
                deep = enlarge(deep, 2)
            deep = conv(torch.cat([deep, skips.pop()], dim=1))
        result: torch.Tensor = entered + deep
        return result


class ContextFusion(nn.Module):
    """CF-block: weigh the side maps of a branch, then fuse them (Chen et al., section 3.3, fig. 5).

    Global average and maximum of the concatenated side maps go through one small MLP to a weight
    a channel, which multiplies them; a 3 x 3 convolution fuses the result. The paper leaves the MLP
    open; taken as CBAM's channel attention, not narrowed, for a branch has only six side maps.

    Parameters
    ----------
    sides, outputs
        Channels of the concatenated side maps and of the fused map.
    """

    def __init__(self, sides: int, outputs: int) -> None:
        super().__init__()
        self.attention = ChannelAttention(sides, sides)
        self.conv = nn.Conv2d(sides, outputs, 3, padding=1)

    def forward(self, sides: torch.Tensor) -> torch.Tensor:
        """Fuse `sides` ``(B, 6 K, Y, X)`` to ``(B, K, Y, X)``."""
        fused: torch.Tensor = self.conv(self.attention(sides))
        return fused
