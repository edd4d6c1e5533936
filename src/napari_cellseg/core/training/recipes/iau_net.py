"""Recipe of IAU-Net (Liu et al.)."""

from __future__ import annotations

from napari_cellseg.core.training.recipes.registry import RECIPES, TrainingRecipe

RECIPES.register("iau-net")(
    TrainingRecipe(
        title="IAU-Net with its focal Tversky loss",
        description=(
            "The paper's loss (alpha 0.7, gamma 0.75) and epochs of 300 batches; it gives neither "
            "optimiser, rate, batch nor augmentation: these are ours (AdamW 1e-3, cosine). Ours "
            "too: the contour map, where missed contour costs more than false contour."
        ),
        source="Liu et al., IAU-Net",
        settings={
            "model": "iau-net",
            "loss": "focal-tversky",
            "loss_params": {"alpha": 0.7, "contour_alpha": 0.3, "gamma": 0.75},
            "epoch_steps": 300,
        },
    )
)
