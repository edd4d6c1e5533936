"""Residual blocks."""

from __future__ import annotations

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks.convolution import ConvBlock

nn = torch.nn


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions whose result is added to their input (He et al. 2016, eq. 1-2).

    Parameters
    ----------
    inputs, outputs
        Channels before and after; where they differ, the input is added through a 1 x 1
        convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            ConvBlock(inputs, outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity() if inputs == outputs else _projection(inputs, outputs)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `x` ``(B, C, Y, X)`` to ``(B, C', Y, X)``."""
        result: torch.Tensor = self.activation(self.convs(x) + self.shortcut(x))
        return result


def _projection(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
