"""From a finished run to a model bundle: the card that says what was trained on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.trainer import Trainer
from napari_cellseg.core.zoo.bundle import save_bundle
from napari_cellseg.core.zoo.card import Card, ChannelKind, DataSource


def make_card(
    config: TrainConfig,
    images: Sequence[LabelledImage],
    name: str,
    scores: Mapping[str, float],
    params: Mapping[str, object],
) -> Card:
    """Describe a trained network.

    Parameters
    ----------
    images
        What it was trained on: their kinds and object sizes become those that the model takes.
    name
        Name of the bundle.
    scores
        Scores on the images that were held out while training.
    params
        The architecture's parameters.
    """
    diameters = [image.diameter for image in images if image.diameter > 0]
    low, middle, high = np.percentile(diameters, (5, 50, 95))
    channels = int(str(params["in_channels"]))
    groups = Counter(image.group for image in images)
    return Card(
        name=name,
        title=name,
        description=f"Trained on {len(images)} images ({', '.join(sorted(groups))}).",
        architecture=config.model,
        params=dict(params),
        channels=_channel_kinds(images, channels),
        in_channels=channels,
        normalization=config.normalization,
        object_diameter=round(float(middle), 1),
        # What augmentation showed the network reaches further than the images' own sizes.
        diameter_range=(
            round(float(low * config.augment.scale_min), 1),
            round(float(high * config.augment.scale_max), 1),
        ),
        data=tuple(DataSource(name=group, images=n) for group, n in sorted(groups.items())),
        recipe=config.model_dump(mode="json"),
        seed=config.seed,
        scores={"held out while training": dict(scores)},
    )


def _channel_kinds(images: Sequence[LabelledImage], channels: int) -> tuple[ChannelKind, ...]:
    seen = {image.image.shape[2] for image in images}
    kinds: list[ChannelKind] = ["gray"] if 1 in seen else []
    if channels > 1 and channels in seen:
        kinds.append("rgb" if channels == 3 else "multi")
    return tuple(kinds)


def save_result(
    trainer: Trainer, checkpoint: Path, output: Path, images: Sequence[LabelledImage]
) -> Card:
    """Write the averaged weights of a checkpoint as a bundle and return its card.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    scores: dict[str, float] = trainer.load(checkpoint)["scores"]
    params = trainer.average.params.model_dump(mode="json")
    card = make_card(trainer.config, images, output.name, scores, params)
    return save_bundle(output, trainer.average, card)
