"""The parts of Mask R-CNN that torchvision has, in the sizes that suit small nuclei."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.models.detector import Detector, DetectorParams
from napari_cellseg.core.models.mask_heads import CLASSES, GatherRegions

nn = torch.nn

GREATEST_OVERLAP = 0.8
"""Of two candidates whose boxes overlap more only the better is kept, whatever is asked later."""


class Size(NamedTuple):
    """Channels of pyramid, box head, mask head and the guide's levels, and what else has a size.

    `side` is that of the masks of several scales, `samples` are the boxes that an image trains.
    """

    pyramid: int
    box: int
    mask: int
    guide: tuple[int, ...]
    side: int
    samples: int


_BASE = Size(256, 1024, 256, (32, 64, 128, 256), 32, 512)
_SMALL = Size(64, 256, 64, (16, 32, 64), 16, 128)


class MaskRCNNParams(DetectorParams):
    """Parameters of Mask R-CNN."""

    backbone: Literal["auto", "resnet18", "resnet50", "resnext101"] = Field(
        "auto",
        title="Backbone",
        description="'auto' is ResNet-50, and ResNet-18 at width 'small'; ResNeXt-101 is 32x8d.",
    )
    anchor: float = Field(
        8.0,
        ge=2,
        le=256,
        title="Smallest anchor",
        description="Side of the smallest boxes that are looked for; each of the five levels "
        "doubles it. 8 px suits nuclei of 6 to 200 px; the usual photographs take 32.",
        json_schema_extra={"unit": "px"},
    )

    @property
    def sizes(self) -> Size:
        """Channels of the parts."""
        if self.width == "small":
            return _SMALL
        factor = self.width if isinstance(self.width, float) else 1.0
        pyramid, box, mask = (max(8, round(n * factor / 8) * 8) for n in _BASE[:3])
        guide = tuple(max(4, round(n * factor)) for n in _BASE.guide)
        return Size(pyramid, box, mask, guide, _BASE.side, _BASE.samples)


def make_backbone(params: MaskRCNNParams) -> nn.Module:
    """Return a residual network with a feature pyramid at strides 4, 8, 16, 32 and 64."""
    resnet = gated_import("torchvision.models.resnet")
    name = params.backbone
    if name == "auto":
        name = "resnet18" if params.width == "small" else "resnet50"
    factor = params.width if isinstance(params.width, float) else 1.0
    if name == "resnet18":
        body, channels = resnet.resnet18(), [64, 128, 256, 512]
    else:
        # the width of the inner convolutions; a group of ResNeXt must stay whole
        inner = 64 if name == "resnet50" else 8
        inner = max(1, round(inner * factor))
        make = resnet.resnet50 if name == "resnet50" else resnet.resnext101_32x8d
        body, channels = make(width_per_group=inner), [256, 512, 1024, 2048]
    if params.in_channels != 3:
        body.conv1 = nn.Conv2d(params.in_channels, 64, 7, stride=2, padding=3, bias=False)
    layers = {f"layer{k + 1}": str(k) for k in range(4)}
    utils = gated_import("torchvision.models.detection.backbone_utils")
    backbone: nn.Module = utils.BackboneWithFPN(body, layers, channels, params.sizes.pyramid)
    return backbone


def make_proposals(params: MaskRCNNParams) -> nn.Module:
    """Return what proposes boxes, and learns to from torchvision's usual share of anchors."""
    rpn = gated_import("torchvision.models.detection.rpn")
    sides = tuple((params.anchor * 2**level,) for level in range(5))
    anchors = rpn.AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * len(sides))
    network: nn.Module = rpn.RegionProposalNetwork(
        anchors,
        rpn.RPNHead(params.sizes.pyramid, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 2000},
        post_nms_top_n={"training": 1000, "testing": 2000},
        nms_thresh=0.7,
    )
    return network


def make_heads(size: Size) -> nn.Module:
    """Return what gives proposals a class and a better box, and a place for the mask head."""
    detection = gated_import("torchvision.models.detection")
    pool = gated_import("torchvision.ops").MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    heads: nn.Module = detection.roi_heads.RoIHeads(
        pool,
        detection.faster_rcnn.TwoMLPHead(size.pyramid * 7**2, size.box),
        detection.faster_rcnn.FastRCNNPredictor(size.box, CLASSES),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=size.samples,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=Detector.lowest_score,
        nms_thresh=GREATEST_OVERLAP,
        detections_per_img=1000,
        mask_roi_pool=GatherRegions(),
        mask_head=nn.Identity(),
        mask_predictor=nn.Identity(),
    )
    return heads
