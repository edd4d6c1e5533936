"""Recipe of U-Net++ with attention gates (Yang et al. 2022)."""

from __future__ import annotations

from napari_cellseg.core.training.recipes.registry import (
    ONLY_GEOMETRY,
    RECIPES,
    TrainingRecipe,
)

RECIPES.register("unetpp-attention")(
    TrainingRecipe(
        title="U-Net++ with attention gates as in its paper",
        description=(
            "The paper's AdamW 1e-4, batch 8, 256 px, loss, 1000 epochs of 1000 images (give "
            "--minutes or --steps for less), random crop, rotation, non-linear change of "
            "intensities, and closing, here by 2 px: it gives no size. Ours: the contour map; "
            "focal gamma 2; weights are averaged. The paper's teacher and student are offered by "
            "--teacher and --unlabelled; in the paper they did worse (F1 .4467 against .5874)."
        ),
        source="Yang et al. 2022",
        settings={
            "model": "unetpp-attention",
            "loss": "dice-focal",
            "loss_params": {"focal_weight": 0.5, "dice_weight": 0.5, "gamma": 2.0},
            "optimizer": "adamw",
            "learning_rate": 1e-4,
            "warm_up": 0.0,
            "schedule": "constant",
            "patch_size": 256,
            "batch_size": 8,
            "steps": 125_000,
            "augment": {**ONLY_GEOMETRY, "gamma": 0.5},
            "post": {"closing": 2},
        },
    )
)
