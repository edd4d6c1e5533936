"""Recipes of the baselines: one and the same for all, so that architectures are compared."""

from __future__ import annotations

from napari_cellseg.core.training.recipes.registry import RECIPES, TrainingRecipe

_NAMES = {
    "unet": "U-Net",
    "unetpp": "U-Net++",
    "linknet": "LinkNet",
    "deeplabv3plus": "DeepLabv3+",
    "oktay-attention-unet": "Attention U-Net of Oktay et al.",
    "u2net": "U²-Net",
}

for _model, _title in _NAMES.items():
    RECIPES.register(_model)(
        TrainingRecipe(
            title=f"{_title}, a baseline",
            description=(
                "Our general settings: combo loss, AdamW 1e-3 with cosine, patches of 256 px, "
                "contours where objects touch."
            ),
            settings={"model": _model, "loss": "combo"},
        )
    )
