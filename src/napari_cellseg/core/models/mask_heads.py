"""From the boxes of objects to their masks: the plain head, and the one with MSFL and CSAM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.models.blocks import (
    CrossSpatialAttention,
    EfficientChannelAttention,
)
from napari_cellseg.core.models.guide import GuideUNet

nn = torch.nn

CLASSES = 2  # background and cell
_AT_ONCE = 64  # boxes; all those of a dense image together would take gigabytes


class Regions(NamedTuple):
    """Boxes, and what masks are made from.

    Attributes
    ----------
    features
        Of the pyramid by level, ``"0"`` the finest, and ``"image"``, each ``(B, C, Y', X')``.
    boxes
        For each image ``(N, 4)`` as x0, y0, x1, y1.
    sizes
        (Y, X) of each image.
    """

    features: Mapping[str, torch.Tensor]
    boxes: list[torch.Tensor]
    sizes: list[tuple[int, int]]


class GatherRegions(nn.Module):
    """Leaves pooling to the head, which can then do it box by box; takes torchvision's place."""

    def forward(
        self,
        features: Mapping[str, torch.Tensor],
        boxes: list[torch.Tensor],
        sizes: list[tuple[int, int]],
    ) -> Regions:
        """Return the arguments as they are."""
        return Regions(features, boxes, sizes)


class MaskHead(nn.Module):
    """Gives mask logits ``(K, 2, M, M)`` for all boxes of all images, in turn."""

    def forward(self, regions: Regions) -> torch.Tensor:
        """Return the logits; while predicting, of a few boxes at a time."""
        if self.training:
            return self.logits(regions)
        parts = []
        for number, boxes in enumerate(regions.boxes):
            features = {k: v[number : number + 1] for k, v in regions.features.items()}
            size = regions.sizes[number]
            parts += [
                self.logits(Regions(features, [b], [size])) for b in torch.split(boxes, _AT_ONCE)
            ]
        return torch.cat(parts)

    def logits(self, regions: Regions) -> torch.Tensor:
        """Return the logits of all boxes at once."""
        raise TypeError(f"{type(self).__name__} does not say how masks are made")


class PlainMaskHead(MaskHead):
    """Four convolutions on 14 x 14 features and one transposed (He et al. 2017): 28 x 28.

    Parameters
    ----------
    inputs, inner
        Channels of the pyramid and of the head.
    """

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        detection = gated_import("torchvision.models.detection.mask_rcnn")
        levels = ["0", "1", "2", "3"]
        self.pool = gated_import("torchvision.ops").MultiScaleRoIAlign(levels, 14, 2)
        self.convs = detection.MaskRCNNHeads(inputs, (inner,) * 4, 1)
        self.predict = detection.MaskRCNNPredictor(inner, inner, CLASSES)

    def logits(self, regions: Regions) -> torch.Tensor:
        """Return the logits of all boxes at once."""
        logits: torch.Tensor = self.predict(self.convs(self.pool(*regions)))
        return logits


class MultiscaleMaskHead(MaskHead):
    """Multiscale feature learning and cross spatial attention (Jiwani et al. 2024, Fig. 1).

    Each box is pooled from strides 4, 8 and 16 to 64, 32 and 16 px; after a convolution each, by
    max pooling and by a transposed convolution, all become 32 x 32. They are concatenated,
    weighted by efficient channel attention and convolved twice; with a guide, attended to by
    the guide's convolved mask; and convolved twice more. The paper leaves the channels open: read
    as half those of the head for each scale, and as all of them after that.

    Parameters
    ----------
    inputs, inner
        Channels of the pyramid and of the head.
    side
        Of the masks: 32 in the paper; boxes are pooled to twice, once and half as much.

    Attributes
    ----------
    guide
        What shows the cell in each box, for cross spatial attention; None leaves that out.
    """

    guide: GuideUNet | None

    def __init__(self, inputs: int, inner: int, side: int = 32) -> None:
        super().__init__()
        each = max(inner // 2, 1)
        self.sides = {"0": 2 * side, "1": side, "2": side // 2}
        self.fine, self.middle, self.coarse = (_conv(inputs, each) for _ in range(3))
        self.shrink = nn.MaxPool2d(2)
        self.enlarge = nn.Sequential(nn.ConvTranspose2d(each, each, 2, 2), nn.ReLU(inplace=True))
        self.weigh = EfficientChannelAttention(3 * each)
        self.join = nn.Sequential(_conv(3 * each, inner), _conv(inner, inner))
        self.refine = _conv(inner, inner)
        self.predict = nn.Conv2d(inner, CLASSES, 3, padding=1)
        self.guide = None

    def follow(self, guide: GuideUNet) -> None:
        """Add cross spatial attention; the other parts stay as they are."""
        self.guide = guide
        self.of_guide = _conv(1, self.predict.in_channels)
        self.attend = CrossSpatialAttention()

    def pooled(self, regions: Regions) -> list[torch.Tensor]:
        """Return the features ``(K, C, S, S)`` of each box from three scales, S twice to half."""
        roi_align = gated_import("torchvision.ops").roi_align
        height = regions.features["image"].shape[-2]
        numbered = number_boxes(regions.boxes)
        pooled = []
        for level, side in self.sides.items():
            features = regions.features[level]
            scale = features.shape[-2] / height
            # one sample a bin: bins are finer than the features for boxes of up to 256 px
            pooled.append(roi_align(features, numbered, side, scale, 1))
        return pooled

    def guiding(self, guide: GuideUNet, regions: Regions) -> torch.Tensor:
        """Return the guide's mask of each box, ``(K, 1, S, S)`` in [0, 1]; it learns nothing."""
        with torch.no_grad():
            crops = guide.crop(regions.features["image"], number_boxes(regions.boxes))
            return torch.sigmoid(guide(crops))

    def logits(self, regions: Regions) -> torch.Tensor:
        """Return the logits of all boxes at once."""
        fine, middle, coarse = self.pooled(regions)
        scales = [
            self.shrink(self.fine(fine)),
            self.middle(middle),
            self.enlarge(self.coarse(coarse)),
        ]
        guided = self.join(self.weigh(torch.cat(scales, dim=1)))
        if self.guide is not None:
            guided = self.attend(guided, self.of_guide(self.guiding(self.guide, regions)))
        logits: torch.Tensor = self.predict(self.refine(guided))
        return logits


def number_boxes(boxes: list[torch.Tensor]) -> torch.Tensor:
    """Return the boxes of all images as ``(K, 5)``, each after the number of its image."""
    numbers = [torch.full_like(b[:, :1], number) for number, b in enumerate(boxes)]
    return torch.cat([torch.cat(numbers), torch.cat(boxes)], dim=1)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.ReLU(inplace=True))
