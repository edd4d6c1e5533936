"""The bundle of a fine-tuned model: its card, and what travels with it for its own children."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.judgement.gate import Comparison
from napari_cellseg.core.finetuning.material.material import Material
from napari_cellseg.core.finetuning.material.patches import ReplayPatch, cut_patches
from napari_cellseg.core.finetuning.material.replay import ReplaySet
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.result import make_card
from napari_cellseg.core.wording import counted
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, read_all, write_folder
from napari_cellseg.core.zoo.self_test import add_self_test

_PATCHES = 24
"""Patches of the new data that are kept for later rounds, at most in each part."""


def child_card(
    job: Job,
    config: TrainConfig,
    material: Material,
    parent: Card,
    params: dict[str, Any],
    scores: dict[str, float],
) -> Card:
    """Describe the model of now.

    Parameters
    ----------
    config
        Settings of the run.
    params
        The network's parameters.
    scores
        Of its last validation.
    """
    card = make_card(config, material.train, job.name, scores, params, parent, scale=material.scale)
    objects = sum(source.objects for source in material.fitted)
    finetuning = {
        "sources": job.record(parent),
        "settings": job.settings.model_dump(mode="json"),
    }
    return card.replace(
        description=(
            f"'{parent.title or parent.name}', fine-tuned on "
            f"{counted(objects, 'corrected object')} in {counted(len(material.train), 'image')}."
        ),
        # Those of the parent, too, though no new image may have had them: replay keeps them up.
        channels=parent.channels,
        maps=parent.maps,
        licence=parent.licence,
        data=(*(source.model_dump() for source in parent.data), *_dumped(card)),
        pixel_size=parent.pixel_size,
        seconds_per_megapixel=parent.seconds_per_megapixel,
        recipe={**card.recipe, "finetuning": finetuning},
    )


def _dumped(card: Card) -> list[dict[str, Any]]:
    return [source.model_dump() for source in card.data]


def kept_for_later(replay: ReplaySet, material: Material) -> ReplaySet:
    """Return the parent's patches together with those of the new data."""
    own: list[ReplayPatch] = []
    each = max(1, _PATCHES // len(material.train))
    for image in material.train:
        own += cut_patches(image, "train", each)
    if material.judged:
        each = max(1, _PATCHES // len(material.held_out))
        for image in material.held_out:
            own += cut_patches(image, "held-out", each)
    return replay.merged(own)


def complete(folder: Path, material: Material, new: Comparison, replay: Comparison | None) -> Card:
    """Put the scores of the comparison into a child's card, and a self-test into its bundle.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    card = Card.load(folder)
    scores = dict(card.scores)
    for name, found in (("held-out corrections", new), ("data of its parent", replay)):
        if found is not None and found.images:
            values = {metric: round(gain.child, 4) for metric, gain in found.metrics.items()}
            scores[name] = {**values, "images": float(found.images)}
    card = card.replace(scores=scores)
    write_folder(folder, {**read_all(folder), CARD_FILE: card.to_json().encode()})
    source = material.fitted[0]
    tile = source.image.plane((), source.channel_choice(card).indices)
    try:
        return add_self_test(folder, tile)
    except ImageError:  # a picture too small or too even; the model is as good without
        return card
