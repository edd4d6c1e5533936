"""Building blocks that several architectures share."""

from __future__ import annotations

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional


class ConvBlock(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


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
    """

    def __init__(self, skip: int, gating: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or max(skip // 2, 1)
        self.of_skip = nn.Conv2d(skip, inner, 1, bias=False)
        self.of_gating = nn.Conv2d(gating, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def coefficients(self, skip: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
        """Return the attention coefficients, ``(B, 1, Y, X)`` in [0, 1] on the grid of `skip`."""
        # A 1x1 convolution commutes with averaging: pool first, it is the cheaper order.
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
