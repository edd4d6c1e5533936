"""Named settings for training, by name."""

from napari_cellseg.core.training.recipes.registry import RECIPES, TrainingRecipe, configure

__all__ = ["RECIPES", "TrainingRecipe", "configure"]
