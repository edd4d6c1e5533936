"""Attention: which pixels and channels of a map count."""

from __future__ import annotations

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional


class AttentionGate(nn.Module):
    """Additive attention gate on a skip connection (Oktay et al. 2018, eq. 1-3).

    ``alpha = sigmoid(psi(relu(W_x x + W_g g)))``, one coefficient a pixel, computed on the grid of
    the coarser gating map, resampled to `skip` and multiplied with it.

    Parameters
    ----------
    skip, gating
        Channels of the skip connection and of the gating map.
    inner
        Channels of the shared space; half of `skip` by default.
    fine
        Compute on the grid of `skip` instead, where the gating map is enlarged by repetition.
    """

    def __init__(
        self, skip: int, gating: int, inner: int | None = None, *, fine: bool = False
    ) -> None:
        super().__init__()
        inner = inner or max(skip // 2, 1)
        self.fine = fine
        self.of_skip = nn.Conv2d(skip, inner, 1, bias=False)
        self.of_gating = nn.Conv2d(gating, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def coefficients(self, skip: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
        """Return the attention coefficients, ``(B, 1, Y, X)`` in [0, 1] on the grid of `skip`."""
        # A 1x1 convolution commutes with averaging and with repetition: it is applied to the
        # smaller map, which is cheaper.
        if self.fine:
            of_gating = functional.interpolate(self.of_gating(gating), size=skip.shape[-2:])
            summed = functional.relu(self.of_skip(skip) + of_gating)
            return torch.sigmoid(self.psi(summed))
        height, width = gating.shape[-2:]
        pooled = functional.adaptive_avg_pool2d(skip, (height, width))
        summed = functional.relu(self.of_skip(pooled) + self.of_gating(gating))
        alpha = torch.sigmoid(self.psi(summed))
        return functional.interpolate(
            alpha, size=skip.shape[-2:], mode="bilinear", align_corners=False
        )

    def forward(self, skip: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
        """Gate `skip` ``(B, C, Y, X)`` by `gating` ``(B, C', Y', X')``."""
        gated: torch.Tensor = skip * self.coefficients(skip, gating)
        return gated


class ResidualGate(nn.Module):
    """Attention gate that strengthens and never closes (Liu et al., IAU-Net, eq. 2).

    ``A(x, g) = (1 + sigmoid(W_x x + W_g g + b)) x``, one coefficient a pixel and channel. The paper
    prints no size of the kernels W; read as 1 x 1.

    Parameters
    ----------
    channels, gating
        Channels of the map that is gated and of the gating map, which have the same grid.
    """

    def __init__(self, channels: int, gating: int) -> None:
        super().__init__()
        self.of_input = nn.Conv2d(channels, channels, 1, bias=False)
        self.of_gating = nn.Conv2d(gating, channels, 1)

    def forward(self, x: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
        """Gate `x` ``(B, C, Y, X)`` by `gating` ``(B, C', Y, X)``."""
        gated: torch.Tensor = (1 + torch.sigmoid(self.of_input(x) + self.of_gating(gating))) * x
        return gated
