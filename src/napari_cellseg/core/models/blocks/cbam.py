"""Convolutional block attention: which channels, then which pixels of a map count."""

from __future__ import annotations

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional

_REDUCTION = 16


class ChannelAttention(nn.Module):
    """Weigh channels by their global average and maximum (Woo et al. 2018, eq. 2).

    ``F_c = M_c(F) F`` with ``M_c(F) = sigmoid(W_1 relu(W_0 avg(F)) + W_1 relu(W_0 max(F)))``, one
    weight a channel. The HARU-Net paper's text concatenates the two before the sigmoid; read as the
    sum that CBAM takes.

    Parameters
    ----------
    channels
        Channels of the map.
    inner
        Channels between the two layers; a sixteenth, at least 4, by default.
    """

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or max(channels // _REDUCTION, 4)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def coefficients(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights of the channels, ``(B, C, 1, 1)`` in [0, 1]."""
        # Both poolings are spelt so that prediction can make them local (see `local_pooling`).
        average = self.mlp(functional.adaptive_avg_pool2d(x, 1))
        maximum = self.mlp(functional.adaptive_max_pool2d(x, 1))
        return torch.sigmoid(average + maximum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weigh the channels of `x` ``(B, C, Y, X)``."""
        weighed: torch.Tensor = self.coefficients(x) * x
        return weighed


class SpatialAttention(nn.Module):
    """Weigh pixels by the average and maximum over their channels (Woo et al. 2018, eq. 3).

    ``F_s = M_s(F) F`` with ``M_s(F) = sigmoid(conv_7x7([avg(F); max(F)]))``, one weight a pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def coefficients(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights of the pixels, ``(B, 1, Y, X)`` in [0, 1]."""
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return torch.sigmoid(self.conv(both))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weigh the pixels of `x` ``(B, C, Y, X)``."""
        weighed: torch.Tensor = self.coefficients(x) * x
        return weighed


class CBAM(nn.Sequential):
    """Channel attention, then spatial attention (Woo et al. 2018, eq. 1; Chen et al., eq. 1-2).

    timm has the same module; importing timm costs seconds, and its global poolings cannot be made
    local.

    Parameters
    ----------
    channels
        Channels of the map, which keeps its shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelAttention(channels), SpatialAttention())
