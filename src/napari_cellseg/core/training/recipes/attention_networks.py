"""Recipes of attention U-Net and attention LinkNet (Abbas & Abdulmunim 2023)."""

from __future__ import annotations

from typing import Any

from napari_cellseg.core.training.recipes.registry import (
    ONLY_GEOMETRY,
    RECIPES,
    TrainingRecipe,
)

_SETTINGS: dict[str, Any] = {
    "loss": "combo",
    "optimizer": "adam",
    "weight_decay": 0.0,
    "learning_rate": 1e-3,
    "warm_up": 0.0,
    "schedule": "plateau",
    "plateau_patience": 2,
    "plateau_factor": 0.5,
    "patience": 3,
    "patch_size": 256,
    "batch_size": 8,
    "holdout": 0.2,
    "augment": {**ONLY_GEOMETRY, "rotate": False, "mirror": True, "scale_min": 0.6},
    "post": {"foreground_threshold": 0.5},
}
_DESCRIPTION = (
    "The paper's Adam, plateaus, early stopping, 80/20 split, zoom-out, flips and shifts. Ours: "
    "the contour map, because the paper stops at the mask; patience counts validations of AP, "
    "every 250 steps, where the paper counts epochs of the loss; weights are averaged; alpha and "
    "beta of the loss, 0.5 each. Runs end early: '--patience 0 --schedule cosine' trains longer."
)

for _model, _title in (
    ("attention-unet", "Attention U-Net as in its paper"),
    ("attention-linknet", "Attention LinkNet as in its paper"),
):
    RECIPES.register(_model)(
        TrainingRecipe(
            title=_title,
            description=_DESCRIPTION,
            source="Abbas & Abdulmunim 2023",
            settings={"model": _model, **_SETTINGS},
        )
    )
