"""Cross spatial attention: another network's opinion tells a map where to look."""

from __future__ import annotations

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional


class CrossSpatialAttention(nn.Module):
    """CSAM of Jiwani et al. (2024), Fig. 2.

    Of the guided and of the guiding map the maximum and the mean over channels are pooled to the
    size of the guided map and convolved to four channels each. A convolution of all eight and
    a sigmoid give one coefficient a pixel, with which the guided map is multiplied. The paper
    leaves the size of the kernels open; read as 3 x 3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_guided = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.of_guiding = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.join = nn.Conv2d(8, 1, 3, padding=1)

    def coefficients(self, guided: torch.Tensor, guiding: torch.Tensor) -> torch.Tensor:
        """Return the attention map, ``(B, 1, Y, X)`` in [0, 1] on the grid of `guided`."""
        height, width = guided.shape[-2:]
        parts = [
            conv(_profile(image, (height, width)))
            for conv, image in ((self.of_guided, guided), (self.of_guiding, guiding))
        ]
        return torch.sigmoid(self.join(torch.cat(parts, dim=1)))

    def forward(self, guided: torch.Tensor, guiding: torch.Tensor) -> torch.Tensor:
        """Attend to `guided` ``(B, C, Y, X)`` by `guiding` ``(B, C', Y', X')``."""
        attended: torch.Tensor = guided * self.coefficients(guided, guiding)
        return attended


def _profile(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return the maximum and the mean over channels, ``(B, 2, *size)``."""
    highest = functional.adaptive_max_pool2d(image.amax(dim=1, keepdim=True), size)
    mean = functional.adaptive_avg_pool2d(image.mean(dim=1, keepdim=True), size)
    return torch.cat([highest, mean], dim=1)
