"""The recipe of a run: all that the labels depend on besides image and weights."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.inference.preparation import Preparation
from napari_cellseg.core.inference.tiling import Tiling
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.zoo.card import Card

SCHEMA_VERSION = 1

P = TypeVar("P", bound=Params)


class Recipe(Params):
    """Model, preparation, tiling and post-processing of one run.

    The same recipe, weights and image give the same labels from the dock, the API and the command
    line, on the same computer and device.
    """

    schema_version: Literal[1] = 1
    model: str = Field("nuclei", title="Model", description="Name of a model, or its folder.")
    weights_sha256: str | None = Field(
        None,
        title="Weights",
        description="Hash of the weights that the recipe was made with; empty accepts any.",
    )
    preparation: Preparation = Preparation()
    tiling: Tiling = Tiling()
    post: PostParams = PostParams()

    @classmethod
    def for_model(cls, card: Card, model: str | None = None) -> Self:
        """Return the recipe that a model starts from: its card's defaults.

        Parameters
        ----------
        card
            Card of the model.
        model
            What the recipe calls it, where that is not the card's name (a folder, for instance).
        """
        return cls(
            model=model or card.name,
            weights_sha256=card.weights_sha256 or None,
            preparation=Preparation(
                **card.normalization.model_dump(), diameter=card.expected_diameter
            ),
            post=PostParams.parse(card.post),
        )

    def to_json(self) -> str:
        """Return the recipe as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a recipe from JSON.

        Raises
        ------
        SettingsError
            If the text is no recipe, or one of a newer version of the plugin.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SettingsError(
                f"The recipe is not readable JSON ({error}): export it again."
            ) from error
        if not isinstance(values, dict):
            raise SettingsError("The recipe is not a JSON object: export it again.")
        version = values.get("schema_version", SCHEMA_VERSION)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise SettingsError(
                f"The recipe has version {version}, newer than this plugin reads: "
                "update napari-cellseg."
            )
        return cls.parse(values)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a recipe file.

        Raises
        ------
        SettingsError
            If the file cannot be read or is no recipe.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"The recipe '{path}' cannot be read: {error}. Choose a recipe's .json file."
            ) from error
        return cls.from_json(text)

    def with_setting(self, name: str, value: Any) -> Self:
        """Return a copy with one setting changed.

        Parameters
        ----------
        name
            Dotted, such as ``"post.min_area"`` or ``"model"``.
        value
            The value, or its text: numbers, ``true``, ``none``, ``0,2`` or JSON are understood.

        Raises
        ------
        SettingsError
            If there is no such setting, or it cannot have that value.
        """
        section, dot, key = name.partition(".")
        if not dot:
            return _changed(self, section, value)
        part = getattr(self, section) if section in type(self).model_fields else None
        if not isinstance(part, Params):
            return self.replace(**{section: {key: value}})  # words what is wrong
        return self.replace(**{section: _changed(part, key, value).model_dump()})


def _changed(params: P, key: str, value: Any) -> P:
    for reading in _readings(value) if isinstance(value, str) else []:
        with contextlib.suppress(SettingsError):
            return params.replace(**{key: reading})
    return params.replace(**{key: value})  # words what is wrong with it


def _readings(text: str) -> list[Any]:
    """Return what a text may mean, the likeliest first; validation picks the one that fits."""
    text = text.strip()
    readings: list[Any] = [None] if text.lower() in ("", "none", "null") else []
    readings.append(text)
    with contextlib.suppress(ValueError):
        readings.append(json.loads(text))
    return [*readings, [part.strip() for part in text.split(",")]]
