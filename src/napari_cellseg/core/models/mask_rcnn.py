"""Mask R-CNN (He et al. 2017), and with MSFL and CSAM (Jiwani et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.models.detector import (
    DETECTORS,
    Detections,
    Detector,
    DetectorParams,
    ObjectTargets,
)
from napari_cellseg.core.models.guide import GuideUNet
from napari_cellseg.core.models.mask_heads import MaskHead, MultiscaleMaskHead, PlainMaskHead
from napari_cellseg.core.models.mask_rcnn_parts import (
    MaskRCNNParams,
    make_backbone,
    make_heads,
    make_proposals,
)
from napari_cellseg.core.models.registry import pad_to_multiple

nn = torch.nn

STRIDE = 32


class MultiscaleParams(MaskRCNNParams):
    """Parameters of Mask R-CNN with the paper's parts."""

    msfl: bool = Field(
        True,
        title="Multiscale features",
        description="Masks see features of three scales (MSFL).",
    )
    csam: bool = Field(
        True,
        title="Cross attention",
        description="A U-Net, trained first, shows the masks where the cell is (CSAM).",
    )

    @model_validator(mode="after")
    def _attention_needs_features(self) -> Self:
        if self.csam and not self.msfl:
            raise ValueError("'csam' attends to the features of 'msfl': switch that on too")
        return self


@DETECTORS.register("mask-rcnn")
class MaskRCNN(Detector):
    """Mask R-CNN with a feature pyramid, made of torchvision's parts, without their weights.

    What suits photographs is fitted to small nuclei: anchors of 8 to 128 px at strides 4 to 64
    (torchvision: 32 to 512), up to 2000 proposals and 1000 objects an image (1000 and 100), and
    images come as they are, neither resized nor normalised again. ``width="small"`` is a ResNet-18
    with a quarter of the channels after it; it learns from a quarter of the boxes.
    """

    Params: ClassVar[type[DetectorParams]] = MaskRCNNParams
    params: MaskRCNNParams

    def __init__(self, params: MaskRCNNParams) -> None:
        super().__init__(params)
        self.backbone = make_backbone(params)
        self.rpn = make_proposals(params)
        self.roi_heads: Any = make_heads(params.sizes)
        self.roi_heads.mask_head = self.make_mask_head(params)

    def make_mask_head(self, params: Any) -> MaskHead:
        """Return what makes masks of boxes."""
        return PlainMaskHead(params.sizes.pyramid, params.sizes.mask)

    @property
    def guide(self) -> GuideUNet | None:
        """The guide of the mask head, if there is one; the paper does not count its weights."""
        guide: GuideUNet | None = getattr(self.roi_heads.mask_head, "guide", None)
        return guide

    def train(self, mode: bool = True) -> Self:
        """Switch to training; the guide stays in evaluation: it was trained before."""
        super().train(mode)
        if self.guide is not None:
            self.guide.eval()
        return self

    def forward(self, image: torch.Tensor) -> list[Detections]:
        """Find the objects in each image ``(B, C, Y, X)``, float, any Y and X >= 1."""
        self.roi_heads.score_thresh = self.lowest_score
        found, _ = self._run(image, None)
        return [Detections(f["boxes"], f["scores"], f["masks"][:, 0]) for f in found]

    def losses(
        self, image: torch.Tensor, targets: Sequence[ObjectTargets]
    ) -> dict[str, torch.Tensor]:
        """Return He et al.'s losses: of proposals, class, box and mask.

        The cross-entropy of objectness and the smooth L1 of the proposals' boxes; cross-entropy of
        the class and smooth L1 of the boxes; binary cross-entropy of the masks of positive boxes.
        """
        words = [
            {
                "boxes": t.boxes,
                "labels": torch.ones(len(t.boxes), dtype=torch.int64, device=t.boxes.device),
                "masks": t.masks,
            }
            for t in targets
        ]
        return self._run(image, words)[1]

    def _run(
        self, image: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None
    ) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
        sizes = [(image.shape[-2], image.shape[-1])] * len(image)
        padded = pad_to_multiple(image, STRIDE)
        features = self.backbone(padded)
        images = gated_import("torchvision.models.detection.image_list").ImageList(padded, sizes)
        proposals, losses = self.rpn(images, features, targets)
        seen = {**features, "image": padded}
        found, more = self.roi_heads(seen, proposals, sizes, targets)
        return found, {**losses, **more}


@DETECTORS.register("mask-rcnn-msfl-csam")
class MultiscaleMaskRCNN(MaskRCNN):
    """Mask R-CNN with multiscale feature learning and cross spatial attention.

    Jiwani et al. (2024). The guide U-Net is trained first, on crops of single cells, and then
    frozen. Counts as in the paper's Table 1 leave the guide out. ``width="small"`` makes masks of
    16 x 16 px instead of 32 x 32, at a quarter of the cost for each box.
    """

    Params = MultiscaleParams
    params: MultiscaleParams

    def make_mask_head(self, params: Any) -> MaskHead:
        """Return the head with the parts that are switched on."""
        size = params.sizes
        if not params.msfl:
            return super().make_mask_head(params)
        head = MultiscaleMaskHead(size.pyramid, size.mask, size.side)
        if params.csam:
            head.follow(GuideUNet(params.in_channels, size.guide, size.side))
        return head
