"""The registry of training recipes, and how a recipe and a person's own settings are joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from napari_cellseg.core.components import Params, Registry
from napari_cellseg.core.training.config import TrainConfig


class TrainingRecipe(Params):
    """Settings that belong together, such as those of a paper.

    Attributes
    ----------
    title
        One line: what is trained, and how.
    description
        Where the settings come from, and what differs from the paper.
    source
        The paper, or "" for a recipe of ours.
    settings
        Fields of `TrainConfig` that differ from its defaults; ``model`` is always among them, and
        ``post`` holds the settings of post-processing that the model starts from.
    """

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    source: str = ""
    settings: dict[str, Any]


RECIPES: Registry[TrainingRecipe] = Registry("recipe", __package__)

ONLY_GEOMETRY: Mapping[str, Any] = {
    "scale_min": 1.0,
    "scale_max": 1.0,
    "elastic": 0.0,
    "gamma": 0.0,
    "contrast": 0.0,
    "noise": 0.0,
    "blur": 0.0,
    "invert": 0.0,
    "stain": 0.0,
    "to_gray": 0.0,
}
"""Augmentation by any angle and mirroring alone."""


def configure(values: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a run: those of ``values["recipe"]``, if any, changed by the others.

    Groups such as ``augment`` are joined value by value. Where another model or loss is asked for,
    the recipe's parameters of that model or loss are left out.

    Parameters
    ----------
    values
        Fields of `TrainConfig`, groups as dicts.

    Raises
    ------
    UnknownNameError
        If there is no such recipe.
    SettingsError
        If a setting is unknown or out of range.
    """
    if not values.get("recipe"):
        return TrainConfig.parse(dict(values))
    settings = dict(RECIPES[values["recipe"]].settings)
    for part in ("model", "loss"):
        if values.get(part, settings.get(part)) != settings.get(part):
            settings.pop(f"{part}_params", None)
    return TrainConfig.parse(_join(settings, values))


def _join(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(settings)
    for name, value in changes.items():
        old = joined.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _join(old, value)
        joined[name] = value
    return joined
