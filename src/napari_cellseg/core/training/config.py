"""The settings of a training run."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from napari_cellseg.core.components import Params
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.targets import TargetParams
from napari_cellseg.core.inference.preparation import Normalization


class TrainConfig(Params):
    """Everything that a training run depends on besides its data."""

    recipe: str = Field(
        "",
        title="Recipe",
        description="Named recipe that the settings come from, but for those given beside it.",
    )
    model: str = Field("attention-unet", title="Model", description="Name of the architecture.")
    model_params: dict[str, Any] = Field(
        default_factory=dict,
        title="Model parameters",
        description="Values for the architecture's own parameters, such as its width.",
    )
    parent: str = Field(
        "",
        title="Parent",
        description=(
            "Model to start from, a name or a folder. Its architecture, parameters and "
            "normalization are taken over. Empty starts from random weights."
        ),
    )
    loss: str = Field(
        "combo",
        title="Loss",
        description="Name of the loss, of networks that predict maps; the others have their own.",
    )
    loss_params: dict[str, Any] = Field(
        default_factory=dict, title="Loss parameters", description="Values for the loss."
    )
    auxiliary_weight: float = Field(
        1.0,
        ge=0,
        le=10,
        title="Weight of side outputs",
        description="Of each further output of a deeply supervised network; the last one has 1.",
    )
    patch_size: int = Field(
        256,
        ge=32,
        le=2048,
        multiple_of=32,
        title="Patch size",
        description="Side of the square training patches.",
        json_schema_extra={"unit": "px"},
    )
    diameter: float | None = Field(
        None,
        gt=0,
        le=1000,
        title="Network diameter",
        description=(
            "Rescale all images so that their typical object has this diameter; the model does the "
            "same with images to come. Empty leaves them as they are, or as its parent does."
        ),
        json_schema_extra={"unit": "px"},
    )
    smallest_diameter: float = Field(
        0.0,
        ge=0,
        le=200,
        title="Smallest diameter",
        description=(
            "Enlarge images whose typical object is smaller than this, each by itself; the model "
            "does the same with images to come. 0 enlarges none, or as its parent does."
        ),
        json_schema_extra={"unit": "px"},
    )
    batch_size: int = Field(8, ge=1, le=512, title="Batch size", description="Patches a step.")
    touching: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Touching objects",
        description="Share of patches whose middle lies where two objects touch.",
    )
    steps: int = Field(
        4000, ge=1, le=10_000_000, title="Steps", description="Most optimiser steps."
    )
    minutes: float | None = Field(
        None,
        gt=0,
        title="Time budget",
        description="Stop after this time; the learning rate is fitted to it.",
        json_schema_extra={"unit": "min"},
    )
    epoch_steps: int = Field(
        250, ge=1, title="Steps an epoch", description="Steps between two validations."
    )
    optimizer: Literal["adamw", "adam", "sgd"] = Field(
        "adamw",
        title="Optimiser",
        description="'adamw', 'adam', or 'sgd': gradient descent with momentum.",
    )
    momentum: float = Field(0.9, ge=0, lt=1, title="Momentum", description="Of 'sgd' alone.")
    learning_rate: float = Field(
        1e-3, gt=0, le=1, title="Learning rate", description="Highest rate, after the warm-up."
    )
    schedule: Literal["cosine", "constant", "plateau", "triangular2"] = Field(
        "cosine",
        title="Schedule",
        description=(
            "How the rate goes on: 'cosine' falls over the whole run, 'plateau' falls when "
            "validation gets no better, 'triangular2' goes up and down, each time half as high."
        ),
    )
    lowest_rate: float = Field(
        0.01,
        ge=0,
        le=1,
        title="Lowest rate",
        description="Share of the learning rate below which no schedule goes.",
    )
    plateau_patience: int = Field(
        2,
        ge=1,
        title="Patience of the rate",
        description="Of 'plateau': epochs without a better validation before the rate falls.",
    )
    plateau_factor: float = Field(
        0.5, gt=0, lt=1, title="Fall of the rate", description="Of 'plateau': new to old rate."
    )
    cycle_steps: int = Field(
        1000, ge=1, title="Half a cycle", description="Of 'triangular2': steps from low to high."
    )
    warm_up: float = Field(
        0.03, ge=0, le=0.5, title="Warm-up", description="Share of the run in which the rate rises."
    )
    weight_decay: float = Field(
        1e-4, ge=0, le=1, title="Weight decay", description="Decoupled in AdamW."
    )
    ema: float = Field(
        0.998,
        ge=0,
        lt=1,
        title="Weight averaging",
        description="Decay of the exponential moving average of the weights; 0 switches it off.",
    )
    patience: int = Field(
        0,
        ge=0,
        title="Patience",
        description="Stop after this many epochs without a better validation; 0 never stops early.",
    )
    teacher: str = Field(
        "",
        title="Teacher",
        description=(
            "Model, a name or a folder, that says on unlabelled images what is to be learnt. "
            "Made things worse in the paper that proposes it."
        ),
    )
    consistency: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Weight of the teacher",
        description="Of the distance to the teacher's maps on unlabelled images.",
    )
    guide_share: float = Field(
        0.2,
        ge=0,
        le=0.9,
        title="Share of the guide",
        description=(
            "Part of a run that trains the guide of a network that has one; 0 leaves the guide "
            "as the parent trained it."
        ),
    )
    holdout: float = Field(
        0.0,
        ge=0,
        le=0.5,
        title="Held-out share",
        description=(
            "Share of the training images kept for choosing the best weights. 0 takes the 'val' "
            "part of split.json, or a tenth where there is none."
        ),
    )
    validation_images: int = Field(
        48, ge=1, title="Validation images", description="Most images looked at each epoch."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        title="Precision",
        description="Arithmetic of forward and backward pass; weights stay float32.",
    )
    seed: int = Field(0, ge=0, title="Seed", description="Of weights, patches and hold-out.")
    normalization: Normalization = Normalization()
    freeze: Literal["none", "encoder", "all but heads"] = Field(
        "none",
        title="Keep fixed",
        description="What keeps the weights it begins with: nothing, the encoder, all but heads.",
    )
    batch_norm: Literal["keep", "adapt"] = Field(
        "adapt",
        title="Batch statistics",
        description="'adapt' normalises by each batch, 'keep' by the parent's means and variances.",
    )
    replay: float = Field(
        0.0,
        ge=0,
        le=0.9,
        title="Replay",
        description="Share of patches from the parent's own training data, where it brings any.",
    )
    augment: AugmentParams = AugmentParams()
    targets: TargetParams = TargetParams()
    post: dict[str, Any] = Field(
        default_factory=dict,
        title="Post-processing",
        description="Settings that the model starts from where they differ from the defaults.",
    )

    @property
    def enlarged_below(self) -> float:
        """Diameter in px below which an image is enlarged; 0 where `diameter` scales all alike."""
        return 0.0 if self.diameter else self.smallest_diameter

    @model_validator(mode="after")
    def _enough_for_batch_statistics(self) -> Self:
        # Batch normalisation needs two values a channel even at the deepest level, stride 32.
        if self.batch_size * (self.patch_size // 32) ** 2 < 2:
            raise ValueError("a batch of one patch of 32 px is too small: enlarge either")
        return self
