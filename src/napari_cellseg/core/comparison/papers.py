"""The figures that the papers print for their own systems, to stand beside one's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LIU = "Liu et al., Attention U-net for Cell Instance Segmentation"
_ABBAS = "Abbas and Abdulmunim 2023, Residual Network with Attention to Neural Cells Segmentation"
_CHEN = "Chen et al., Enhancing Nucleus Segmentation with HARU-Net"
_YANG = "Yang et al. 2022, Multi-modal Cell Segmentation based on U-Net++ and Attention Gate"
_JIWANI = (
    "Jiwani et al. 2024, Multiscale Feature Learning and Cross Spatial Attention in Mask R-CNN"
)


@dataclass(frozen=True)
class PaperTable:
    """Figures of one paper on one data set.

    Attributes
    ----------
    paper
        Authors and title.
    data
        Data set, as the paper calls it.
    folders
        Words that the name of a folder with these data contains, in small letters and digits.
    architectures
        Networks of this plugin that the table is about.
    metrics
        Names of the columns.
    rows
        System and one value a column; shares, not per cent.
    remark
        What one must know to compare.
    """

    paper: str
    data: str
    folders: tuple[str, ...]
    architectures: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, *tuple[float, ...]], ...]
    remark: str = ""


COUNTERPARTS = {
    "IoU": "iou",
    "Dice": "dice",
    "AJI": "aji",
    "PQ": "pq",
    "F1@0.5": "f1_50",
    "mIoU": "miou",
    "mAP": "map",
    "M params": "parameters",
}
"""Which of our figures stands in which column; a metric that is not here has no counterpart."""

_HARU, _RSU = ("haru-net",), ("haru-net", "u2net")
_ACCURACY = ("accuracy 1", "accuracy 2", "accuracy 3")
_UNNAMED = "The paper does not say how its accuracy, of three tests, is defined."
_DICE_AJI_PQ = ("Dice", "AJI", "PQ")

PAPER_TABLES = (
    PaperTable(
        _ABBAS,
        "Sartorius",
        ("sartorius",),
        ("attention-unet", "attention-linknet", "unet"),
        ("IoU", "Dice", "M params"),
        (
            ("U-Net without attention", 0.882, 0.972, 32),
            ("U-Net with attention", 0.8924, 0.9502, 10.15),
            ("LinkNet with attention", 0.9547, 0.9834, 6.09),
        ),
        "The figures do not agree with each other: an IoU of 0.9547 goes with a Dice of 0.9768.",
    ),
    PaperTable(
        _LIU,
        "LIVECell",
        ("livecell",),
        ("iau-net",),
        _ACCURACY,
        (("IAU-Net", 0.468, 0.462, 0.459),),
        _UNNAMED,
    ),
    PaperTable(
        _LIU,
        "Sartorius",
        ("sartorius",),
        ("iau-net",),
        _ACCURACY,
        (("IAU-Net", 0.592, 0.579, 0.584),),
        _UNNAMED,
    ),
    PaperTable(
        _LIU,
        "BBBC010",
        ("bbbc010",),
        ("iau-net",),
        _ACCURACY,
        (("IAU-Net", 0.792, 0.783, 0.787),),
        _UNNAMED,
    ),
    PaperTable(
        _CHEN,
        "MoNuSeg",
        ("monuseg",),
        _RSU,
        _DICE_AJI_PQ,
        (
            ("U-Net", 0.758, 0.478, 0.556),
            ("+ RSU (U2-Net)", 0.790, 0.533, 0.570),
            ("+ RSU + CF-block", 0.808, 0.580, 0.579),
            ("+ RSU + CBAM", 0.820, 0.590, 0.583),
            ("+ RSU + CBAM + CF-block", 0.827, 0.598, 0.589),
            ("HARU-Net (and post-processing)", 0.838, 0.656, 0.624),
        ),
    ),
    PaperTable(
        _CHEN, "CoNSeP", ("consep",), _HARU, _DICE_AJI_PQ, (("HARU-Net", 0.856, 0.554, 0.518),)
    ),
    PaperTable(
        _CHEN,
        "BNS (TNBC)",
        ("tnbc", "bnsdata"),
        _HARU,
        _DICE_AJI_PQ,
        (("HARU-Net", 0.812, 0.651, 0.631),),
    ),
    PaperTable(
        _CHEN,
        "CPM-17",
        ("cpm17",),
        _HARU,
        _DICE_AJI_PQ,
        (("HARU-Net", 0.895, 0.721, 0.701),),
        "The paper's text prints 8.95 for the Dice of 0.895.",
    ),
    PaperTable(
        _YANG,
        "NeurIPS 2022 cell segmentation, tuning set",
        ("neurips",),
        ("unetpp-attention", "unetpp"),
        ("F1@0.5",),
        (
            ("U-Net", 0.4879),
            ("UNETR", 0.5174),
            ("Swin UNETR", 0.5588),
            ("U-Net++", 0.5622),
            ("U-Net++ with gates 2.1, 0.3, 1.2", 0.5874),
            ("U-Net++ with gates 2.1, 0.3", 0.5972),
            ("U-Net++ with gates, student", 0.4467),
        ),
    ),
    PaperTable(
        _JIWANI,
        "SegPC-2021",
        ("segpc",),
        ("mask-rcnn", "mask-rcnn-msfl-csam"),
        ("mIoU", "M params"),
        (
            ("Mask R-CNN, ResNet-50", 0.8712, 43.9),
            ("Mask R-CNN, ResNet-50, augmented", 0.8841, 43.9),
            ("+ MSFL, ResNet-50", 0.9027, 44.4),
            ("+ MSFL + CSAM, ResNet-50", 0.9107, 44.5),
            ("Mask R-CNN, ResNeXt-101, augmented", 0.8925, 107),
            ("+ MSFL + CSAM, ResNeXt-101", 0.9133, 107.6),
        ),
        "mIoU is the mean over background and cell; the guide network's parameters are left out.",
    ),
    PaperTable(
        _JIWANI,
        "Yeast",
        ("yeast",),
        ("mask-rcnn", "mask-rcnn-msfl-csam"),
        ("mAP",),
        (
            ("Mask R-CNN, ResNeXt-101", 0.7504),
            ("+ MSFL, ResNeXt-101", 0.7608),
            ("+ MSFL + CSAM, ResNeXt-101", 0.7690),
        ),
        "The paper does not define its mAP, probably the area under precision over recall; ours "
        "is the mean of TP / (TP + FP + FN).",
    ),
)


def tables_for_data(folder: Path) -> list[PaperTable]:
    """Return the papers' figures on the data set after which `folder` is named."""
    name = re.sub(r"[^a-z0-9]", "", folder.resolve().name.lower())
    return [one for one in PAPER_TABLES if any(word in name for word in one.folders)]


def tables_for_architectures(names: Iterable[str]) -> list[PaperTable]:
    """Return the papers' figures that are about some of these networks, on whatever data."""
    wanted = set(names)
    return [one for one in PAPER_TABLES if wanted & set(one.architectures)]
