"""The U-Net that shows a detection network which part of a box is its own cell."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.models.blocks import ConvBlock, UpConvBlock

nn = torch.nn
functional = torch.nn.functional


class GuideUNet(nn.Module):
    """U-Net from the crop of a box to the mask of the cell in its middle (Jiwani et al., III-B2).

    The paper's crops have the box's own size and its masks 32 x 32 px; here the crop is resampled
    to the size of the mask first, so that crops of all sizes make one batch.

    Parameters
    ----------
    in_channels
        Channels of the image.
    widths
        Channels of the levels, from the finest to the coarsest.
    size
        Side of crops and masks in pixels; a multiple of 2 to the number of levels less one.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], size: int = 32) -> None:
        super().__init__()
        self.size = size
        self.downs = nn.ModuleList(
            nn.Sequential(ConvBlock(i, o), ConvBlock(o, o))
            for i, o in zip([in_channels, *widths], widths, strict=False)
        )
        deep, shallow = widths[:0:-1], widths[-2::-1]
        self.joins = nn.ModuleList(UpConvBlock(d, s, s) for d, s in zip(deep, shallow, strict=True))
        self.refines = nn.ModuleList(ConvBlock(s, s) for s in shallow)
        self.head = nn.Conv2d(widths[0], 1, 1)

    def crop(self, image: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
        """Cut boxes out of images and resample them to ``(K, C, size, size)``.

        Parameters
        ----------
        image
            ``(B, C, Y, X)``.
        regions
            ``(K, 5)``: number of the image, x0, y0, x1, y1.
        """
        roi_align = gated_import("torchvision.ops").roi_align
        crops: torch.Tensor = roi_align(image, regions, self.size, 1.0, 2)
        return crops

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Return logits ``(K, 1, size, size)`` of the central cell in crops."""
        skips: list[torch.Tensor] = []
        deep = crops
        for down in self.downs:
            deep = down(functional.max_pool2d(deep, 2) if skips else deep)
            skips.append(deep)
        for join, refine, skip in zip(self.joins, self.refines, skips[-2::-1], strict=True):
            deep = refine(join(deep, skip))
        logits: torch.Tensor = self.head(deep)
        return logits
