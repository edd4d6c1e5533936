"""Recipes of Mask R-CNN, plain and with MSFL and CSAM (Jiwani et al. 2024)."""

from __future__ import annotations

from typing import Any

from napari_cellseg.core.training.recipes.registry import (
    ONLY_GEOMETRY,
    RECIPES,
    TrainingRecipe,
)

_SOURCE = "Jiwani et al. 2024, III-B"
_OURS: dict[str, Any] = {"learning_rate": 5e-4, "batch_size": 4, "augment": {"elastic": 2.0}}

RECIPES.register("mask-rcnn")(
    TrainingRecipe(
        title="Mask R-CNN, trained our way",
        description=(
            "AdamW 5e-4 with cosine from random weights, batches of 4 patches of 256 px, our "
            "augmentation. Its losses are those of He et al. (2017); the setting 'loss' has no "
            "effect."
        ),
        settings={"model": "mask-rcnn", **_OURS},
    )
)

RECIPES.register("mask-rcnn-msfl-csam")(
    TrainingRecipe(
        title="Mask R-CNN with MSFL and CSAM, trained our way",
        description=(
            "As 'mask-rcnn'; the first fifth of the run trains the guide U-Net, which is then "
            "frozen. The paper's SGD begins from weights for photographs, which we do not use: "
            "AdamW gets along without. 'mask-rcnn-msfl-csam-paper' has the values as printed."
        ),
        source=_SOURCE,
        settings={"model": "mask-rcnn-msfl-csam", **_OURS},
    )
)

RECIPES.register("mask-rcnn-msfl-csam-paper")(
    TrainingRecipe(
        title="Mask R-CNN with MSFL and CSAM as printed",
        description=(
            "As printed: SGD with momentum 0.9 and weight decay 5e-4, batch 4, 'triangular2' "
            "between 1e-5 (printed '1e5') and 0.006. Its step size of 5 is read as epochs of the "
            "paper's 120 images, 150 steps: after 5 steps nothing would be learnt. Patches of "
            "512 px stand for whole images; flips have p = 0.5 instead of 0.3; contrast, stain and "
            "gamma stand for hue, saturation and brightness."
        ),
        source=_SOURCE,
        settings={
            "model": "mask-rcnn-msfl-csam",
            "optimizer": "sgd",
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "schedule": "triangular2",
            "learning_rate": 0.006,
            "lowest_rate": 1e-5 / 0.006,
            "cycle_steps": 150,
            "warm_up": 0.0,
            "ema": 0.0,
            "patch_size": 512,
            "batch_size": 4,
            "touching": 0.0,
            "augment": {
                **ONLY_GEOMETRY,
                "rotate": False,
                "mirror": True,
                "gamma": 0.2,
                "contrast": 0.2,
                "stain": 0.2,
            },
        },
    )
)
