"""Convolutions with their normalisation and activation."""

from __future__ import annotations

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional


class ConvBlock(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> None:
        padding = kernel // 2 * dilation
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class DoubleConv(nn.Sequential):
    """Two 3 x 3 `ConvBlock`: a level of a U-Net (Ronneberger et al. 2015)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(ConvBlock(inputs, outputs), ConvBlock(outputs, outputs))


class UpConvBlock(ConvBlock):
    """Enlarge a coarse map twofold, concatenate a skip connection, convolve (3 x 3).

    Parameters
    ----------
    deep, skip
        Channels of the coarse map and of the skip connection; 0 for no skip.
    outputs
        Channels of the result.
    """

    def __init__(self, deep: int, skip: int, outputs: int) -> None:
        super().__init__(deep + skip, outputs)
        self.deep_channels = deep

    def forward(self, deep: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        """Join `deep` ``(B, C, Y, X)`` and `skip` ``(B, C', 2 Y, 2 X)``."""
        joined = functional.interpolate(deep, scale_factor=2.0, mode="nearest")
        if skip is not None:
            joined = torch.cat([joined, skip], dim=1)
        for layer in self:
            joined = layer(joined)
        return joined
