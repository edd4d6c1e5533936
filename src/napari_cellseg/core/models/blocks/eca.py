"""Efficient channel attention: which maps count, seen from their neighbours alone."""

from __future__ import annotations

import math

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional


class EfficientChannelAttention(nn.Module):
    """Weights of channels from a 1-D convolution over their averages (Wang et al. 2020, eq. 5-6).

    ``w = sigmoid(conv_k(mean(x)))``; no reduction of channels. The kernel is the odd number at or
    above ``|log2(C) / 2 + 1 / 2|`` cut to a whole number (eq. 12), as in the authors' code.

    Parameters
    ----------
    channels
        Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = int(abs(math.log2(channels) / 2 + 0.5))
        kernel = max(kernel + 1 - kernel % 2, 3)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return `image` ``(B, C, Y, X)`` with each channel multiplied by its weight."""
        averages = functional.adaptive_avg_pool2d(image, 1)[..., 0].transpose(1, 2)
        weights = torch.sigmoid(self.conv(averages)).transpose(1, 2)[..., None]
        weighted: torch.Tensor = image * weights
        return weighted
