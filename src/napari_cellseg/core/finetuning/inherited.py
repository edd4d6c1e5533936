"""What a fine-tuning takes over from how its parent was trained."""

from __future__ import annotations

from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.zoo.card import Card

_OWN_SCALES = (0.8, 1.25)  # the images to come are like those trained on, also in size


def recipe_of(parent: Card) -> TrainConfig:
    """Return how the parent was trained, the defaults for what its card does not say."""
    known = {k: v for k, v in parent.recipe.items() if k in TrainConfig.model_fields}
    try:
        return TrainConfig.parse(known)
    except SettingsError:  # a card from elsewhere may say anything here
        return TrainConfig()


def nearer(augment: AugmentParams) -> AugmentParams:
    """Keep the parent's augmentation, but not so far from what the images to come look like."""
    low, high = _OWN_SCALES
    return augment.replace(
        scale_min=max(augment.scale_min, low), scale_max=min(augment.scale_max, high), invert=0.0
    )
