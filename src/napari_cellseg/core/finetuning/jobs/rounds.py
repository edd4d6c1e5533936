"""Splits from round to round: noted in jobs and in cards of models, kept by the next round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.material.split import Split, Strip, split_sources
from napari_cellseg.core.finetuning.settings import FineTuneSettings, typical_diameter
from napari_cellseg.core.zoo.card import Card

GAP = 32
"""Pixels, as the network sees them, between training and validation in one picture."""

_SPLIT: TypeAdapter[Split] = TypeAdapter(Split)


def split_to_json(split: Split) -> str | dict[str, Any]:
    """Return what JSON can hold of a split."""
    return asdict(split) if isinstance(split, Strip) else split


def split_from_json(value: Any) -> Split:
    """Read what `split_to_json` returned.

    Raises
    ------
    DataError
        If it is no split.
    """
    try:
        return _SPLIT.validate_python(value)
    except ValidationError as error:
        raise DataError(
            f"'{value}' does not say what is for training and what for validation: take another "
            "copy of the model or of the prepared training."
        ) from error


def earlier_splits(card: Card) -> dict[str, Split]:
    """Return what all rounds before have fixed, by `Source.sha256`.

    Raises
    ------
    DataError
        If the card's note of it cannot be read: validation might else be trained on.
    """
    return {one["sha256"]: split_from_json(one["split"]) for one in _noted(card)}


def split_record(card: Card, sources: Sequence[tuple[str, str, Split]]) -> list[dict[str, Any]]:
    """Return what a child's card notes under ``recipe["finetuning"]["sources"]``.

    Parameters
    ----------
    card
        Of the parent: pictures of earlier rounds stay noted, or a later one would forget them.
    sources
        (name, sha256, split) of each picture of this round.
    """
    new = [{"name": n, "sha256": sha, "split": split_to_json(s)} for n, sha, s in sources]
    now = {one["sha256"] for one in new}
    return [dict(one) for one in _noted(card) if one["sha256"] not in now] + new


def _noted(card: Card) -> list[dict[str, Any]]:
    try:
        noted = list(card.recipe.get("finetuning", {}).get("sources", ()))
        complete = all({"sha256", "split"} <= set(one) for one in noted)
    except (AttributeError, TypeError):
        complete = False
    if not complete:
        raise DataError(
            f"The card of '{card.name}' does not say clearly what it was trained on: install the "
            "model again."
        )
    return noted


def planned_splits(
    settings: FineTuneSettings, parent: Card, sources: Sequence[Source]
) -> dict[str, Split]:
    """Return what a job with these settings would train on and judge by, by `Source.sha256`.

    Raises
    ------
    ChannelError
        If the parent does not take a source's channels.
    DataError
        If the parent's card does not say clearly what earlier rounds fixed.
    SettingsError
        If the loss is unknown.
    """
    for source in sources:
        source.channel_choice(parent)
    gap = network_gap(settings, parent, sources)
    return split_sources(sources, earlier_splits(parent), settings.seed, gap)


def network_gap(settings: FineTuneSettings, parent: Card, sources: Sequence[Source]) -> int:
    """Return how many pixels of the pictures are at least `GAP` as the network sees them.

    Raises
    ------
    SettingsError
        If the loss is unknown.
    """
    diameter, typical = settings.training(parent, sources).diameter, typical_diameter(sources)
    scale = diameter / typical if diameter and typical else 1.0
    return math.ceil(GAP / min(scale, 1.0))
