"""Recipes of HARU-Net (Chen et al.)."""

from __future__ import annotations

from napari_cellseg.core.training.recipes.registry import (
    ONLY_GEOMETRY,
    RECIPES,
    TrainingRecipe,
)

_SOURCE = "Chen et al., HARU-Net"

RECIPES.register("haru-net")(
    TrainingRecipe(
        title="HARU-Net with its loss, trained our way",
        description=(
            "The paper's loss and deep supervision with weights of 1. Ours: AdamW 1e-3 with "
            "cosine, because SGD at the printed 1e-5 hardly moves the weights; patches of 256 px; "
            "our augmentation; contours only where objects touch, because full outlines of 3 px "
            "leave nothing of small objects. 'haru-net-paper' has the values as printed."
        ),
        source=_SOURCE,
        settings={"model": "haru-net", "loss": "bce-dice", "auxiliary_weight": 1.0},
    )
)

RECIPES.register("haru-net-paper")(
    TrainingRecipe(
        title="HARU-Net as printed",
        description=(
            "As printed: SGD 1e-5 with a rate that falls on plateaus, 512 px and batches of 12 as "
            "for CPM-17, 200 epochs (of 20 steps), flips and rotations, full outlines of 3 px, "
            "Algorithm 1 with every seed. No momentum, averaging or choice of places, which the "
            "paper does not mention. At this rate it hardly learns: 'haru-net' is the one to use."
        ),
        source=_SOURCE,
        settings={
            "model": "haru-net",
            "loss": "bce-dice",
            "auxiliary_weight": 1.0,
            "optimizer": "sgd",
            "momentum": 0.0,
            "weight_decay": 0.0,
            "learning_rate": 1e-5,
            "warm_up": 0.0,
            "schedule": "plateau",
            "ema": 0.0,
            "patch_size": 512,
            "batch_size": 12,
            "steps": 4000,
            "epoch_steps": 20,
            "touching": 0.0,
            "augment": dict(ONLY_GEOMETRY),
            "targets": {"contour": "full", "contour_width": 3},
            "post": {"split": "contour", "min_seed_area": 0},
        },
    )
)
