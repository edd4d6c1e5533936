"""The settings of a fine-tuning, and the training run that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.finetuning.inherited import nearer, recipe_of
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.fitting.reviewed import compact
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.zoo.card import Card

Preset = Literal["quick", "thorough"]

PRESETS: tuple[Preset, ...] = ("quick", "thorough")

MOST_UNLIKE = 1.5
"""Objects that are larger or smaller than the parent's by more than this factor are rescaled."""

LARGEST = 1.6
"""Large objects are shrunk to this multiple of the parent's diameter, not all the way.

Their outline needs more pixels than a nucleus has, and augmentation showed the parent as much.
"""

_STRIDE = 32


class FineTuneSettings(Params):
    """What a person chooses when a model learns from corrections; `quick` is the default."""

    minutes: float | None = Field(
        1.2,
        gt=0,
        le=10_000,
        title="Time budget",
        description="Stop training after this time; reading, validating and comparing come on top.",
        json_schema_extra={"unit": "min"},
    )
    steps: int = Field(400, ge=1, le=1_000_000, title="Steps", description="Most optimiser steps.")
    learning_rate: float = Field(
        5e-4, gt=0, le=1, title="Learning rate", description="Highest rate, after the warm-up."
    )
    freeze: Literal["none", "encoder", "all but heads"] = Field(
        "none",
        title="Keep fixed",
        description=(
            "What does not learn. 'encoder' is twice as fast and forgets less, 'none' learns what "
            "looks quite different, 'all but heads' only shifts what counts as an object."
        ),
    )
    batch_norm: Literal["keep", "adapt"] = Field(
        "keep",
        title="Batch statistics",
        description=(
            "'keep' uses the parent's means and variances, as few images give poor ones; 'adapt' "
            "learns new ones."
        ),
    )
    ema: float = Field(
        0.98,
        ge=0,
        lt=1,
        title="Weight averaging",
        description="Decay of the exponential moving average of the weights; 0 switches it off.",
    )
    loss: str = Field(
        "", title="Loss", description="Name of the loss; empty for that of the parent."
    )
    replay: float = Field(
        0.5,
        ge=0,
        le=0.9,
        title="Replay",
        description="Share of patches from the parent's own training data, against forgetting.",
    )
    parent_share: float = Field(
        0.15,
        ge=0,
        le=0.9,
        title="Share of the parent",
        description=(
            "The new weights are this share of the parent's and the rest of what was learnt: "
            "against forgetting. 0 keeps what was learnt."
        ),
    )
    patch_size: int = Field(
        256,
        ge=64,
        le=2048,
        multiple_of=_STRIDE,
        title="Patch size",
        description="Side of the square training patches, at most; small images make it smaller.",
        json_schema_extra={"unit": "px"},
    )
    batch_size: int = Field(4, ge=1, le=512, title="Batch size", description="Patches a step.")
    epoch_steps: int = Field(
        50, ge=1, title="Steps an epoch", description="Steps between two validations."
    )
    patience: int = Field(
        4,
        ge=0,
        title="Patience",
        description="Stop after this many epochs without a better validation; 0 never stops early.",
    )
    validation_images: int = Field(
        8, ge=1, title="Validation images", description="Most images looked at each epoch."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title="Precision",
        description=(
            "Arithmetic of forward and backward pass; weights stay float32. 'auto' takes bfloat16 "
            "where the device computes it fast."
        ),
    )
    seed: int = Field(0, ge=0, title="Seed", description="Of patches and of the split.")
    fit_post: bool = Field(
        True,
        title="Fit post-processing",
        description="Afterwards fit thresholds and the like to the training part.",
    )
    margin: float = Field(
        0.02,
        ge=0,
        le=1,
        title="Tolerated loss",
        description="Of AP at IoU 0.5 on the parent's own data, for the new model to be accepted.",
    )
    diameter: float | None = Field(
        None,
        gt=0,
        le=1000,
        title="Network diameter",
        description=(
            "Rescale images so that their typical object has this diameter. Empty decides it from "
            "the data: objects unlike the parent's in size are rescaled, others are not."
        ),
        json_schema_extra={"unit": "px"},
    )

    @classmethod
    def quick(cls) -> Self:
        """Return settings for about two minutes on a processor with two cores, all included."""
        return cls()

    @classmethod
    def thorough(cls) -> Self:
        """Return settings for about half an hour on a processor with two cores."""
        return cls(
            minutes=25,
            steps=6000,
            ema=0.995,
            batch_size=8,
            epoch_steps=100,
            patience=8,
            validation_images=24,
        )

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return the settings of a preset.

        Raises
        ------
        SettingsError
            If there is no such preset.
        """
        if name == "quick":
            return cls.quick()
        if name == "thorough":
            return cls.thorough()
        raise SettingsError(f"There is no preset '{name}'. Choose one of {', '.join(PRESETS)}.")

    def training(self, parent: Card, sources: Sequence[Source]) -> TrainConfig:
        """Return the settings of the training run.

        Architecture, normalization, loss, targets and augmentation are the parent's. The precision
        ``"auto"`` becomes float32: what is fast is decided where the device is known.

        Parameters
        ----------
        parent
            Card of the model to start from.
        sources
            What is trained on.

        Raises
        ------
        SettingsError
            If the loss is unknown.
        """
        if self.loss:
            from napari_cellseg.core.losses import LOSSES  # needs torch

            LOSSES[self.loss]
        recipe = recipe_of(parent)
        same_loss = self.loss in ("", recipe.loss)
        chosen = set(TrainConfig.model_fields) & set(type(self).model_fields) - {
            "loss",
            "diameter",
            "patch_size",
            "precision",
        }
        diameter = self._diameter(parent, sources)
        return TrainConfig(
            **{name: getattr(self, name) for name in chosen},
            model=parent.architecture,
            model_params=parent.params,
            parent=parent.name,
            normalization=parent.normalization,
            loss=self.loss or recipe.loss,
            loss_params=recipe.loss_params if same_loss else {},
            auxiliary_weight=recipe.auxiliary_weight,
            targets=recipe.targets,
            augment=nearer(recipe.augment),
            diameter=diameter,
            smallest_diameter=parent.diameter_range[0] if parent.enlarged_diameter else 0.0,
            patch_size=self._patch(sources, diameter),
            precision="float32" if self.precision == "auto" else self.precision,
        )

    def _diameter(self, parent: Card, sources: Sequence[Source]) -> float | None:
        typical = typical_diameter(sources)
        own = parent.object_diameter
        if self.diameter or not typical:
            return self.diameter
        ratio = typical / own
        if ratio > MOST_UNLIKE:
            return own * min(ratio, LARGEST)
        if parent.expected_diameter or ratio < 1 / MOST_UNLIKE:
            return parent.shown_diameter(typical)
        return None

    def _patch(self, sources: Sequence[Source], diameter: float | None) -> int:
        """Return the side of patches: what lies beyond a small image is only its reflection."""
        typical = typical_diameter(sources)
        scale = diameter / typical if diameter and typical else 1.0
        largest = max((max(source.labels.shape) for source in sources), default=0) * scale
        needed = _STRIDE * max(2, int(np.ceil(largest / _STRIDE)))
        return min(self.patch_size, needed)


def typical_diameter(sources: Sequence[Source]) -> float:
    """Return the median over the sources of their median object diameter in px; 0 for none."""
    from napari_cellseg.core.data.sources import median_diameter  # reads files: not for a form

    diameters = [median_diameter(compact(source.labels)[1]) for source in sources]
    found = [diameter for diameter in diameters if diameter > 0]
    return float(np.median(found)) if found else 0.0
