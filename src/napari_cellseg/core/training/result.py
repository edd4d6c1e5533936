"""From a finished run to a model bundle: the card that says what was trained on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.rescale import enlarged_diameter
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.teacher import Teacher
from napari_cellseg.core.training.trainer import Trainer
from napari_cellseg.core.zoo.bundle import save_bundle
from napari_cellseg.core.zoo.card import Card, ChannelKind, DataSource


def make_card(
    config: TrainConfig,
    images: Sequence[LabelledImage],
    name: str,
    scores: Mapping[str, float],
    params: Mapping[str, object],
    parent: Card | None = None,
    teacher: Teacher | None = None,
    scale: float = 1.0,
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
    parent
        Card of the model whose weights the run began with: what it was trained on counts too.
    teacher
        What taught it on unlabelled images.
    scale
        Network pixels per image pixel, at which `images` are.
    """
    diameters = [image.diameter for image in images if image.diameter > 0]
    low, middle, high = np.percentile(diameters, (5, 50, 95))
    channels = int(str(params["in_channels"]))
    groups = Counter(image.group for image in images)
    reach = (
        float(low * config.augment.scale_min),
        float(high * config.augment.scale_max),
    )
    if parent:
        reach = (min(reach[0], parent.diameter_range[0]), max(reach[1], parent.diameter_range[1]))
    smallest = config.enlarged_below
    aim = enlarged_diameter(smallest) if smallest else None
    if config.diameter and parent and min(middle, middle / scale) >= parent.diameter_range[0]:
        # All had one scale, and none was small: what the parent does with small ones stays right.
        aim = parent.enlarged_diameter
        smallest = parent.diameter_range[0] if aim else 0.0
    if aim:
        reach = (smallest, max(reach[1], aim))
        middle = max(middle, smallest)
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
        diameter_range=(round(reach[0], 1), round(reach[1], 1)),
        enlarged_diameter=aim,
        expected_diameter=None if scale == 1 else round(float(middle) / scale, 1),
        post={**(parent.post if parent else {}), **config.post},
        data=_sources(groups, teacher),
        # the parents' folders mean nothing elsewhere; their names and hashes are in the lineage
        recipe={
            **config.model_dump(mode="json"),
            "parent": parent.name if parent else "",
            "teacher": teacher.card.name if teacher else "",
        },
        seed=config.seed,
        scores={"held out while training": dict(scores)},
        lineage=_lineage(parent, teacher),
    )


def _sources(groups: Mapping[str, int], teacher: Teacher | None) -> tuple[DataSource, ...]:
    sources = [DataSource(name=group, images=n) for group, n in sorted(groups.items())]
    if teacher:
        sources.append(DataSource(name="unlabelled", images=teacher.images))
    return tuple(sources)


def _lineage(parent: Card | None, teacher: Teacher | None) -> tuple[str, ...]:
    names = [*parent.lineage, _with_hash(parent)] if parent else []
    return (*names, f"teacher {_with_hash(teacher.card)}") if teacher else tuple(names)


def _with_hash(card: Card) -> str:
    return f"{card.name} {card.weights_sha256[:12]}"


def _channel_kinds(images: Sequence[LabelledImage], channels: int) -> tuple[ChannelKind, ...]:
    seen = {image.image.shape[2] for image in images}
    kinds: list[ChannelKind] = ["gray"] if 1 in seen else []
    if channels > 1 and channels in seen:
        kinds.append("rgb" if channels == 3 else "multi")
    return tuple(kinds)


def save_result(
    trainer: Trainer,
    checkpoint: Path,
    output: Path,
    images: Sequence[LabelledImage],
    parent: Card | None = None,
    scale: float = 1.0,
) -> Card:
    """Write the averaged weights of a checkpoint as a bundle and return its card.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    scores: dict[str, float] = trainer.load(checkpoint)["scores"]
    params = trainer.average.params.model_dump(mode="json")
    card = make_card(
        trainer.config, images, output.name, scores, params, parent, trainer.teacher, scale
    )
    card = card.replace(maps=trainer.average.params.maps)
    return save_bundle(output, trainer.average, card)
