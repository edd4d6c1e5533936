"""What a fine-tuning learns from, validates on and is judged by, made of its sources."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.data.rescale import common_scale, enlarged, rescaled
from napari_cellseg.core.data.sources import LabelledImage, median_diameter
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.material.split import Split, Strip, parts
from napari_cellseg.core.fitting.reviewed import compact
from napari_cellseg.core.inference.preparation import normalize, percentile_limits
from napari_cellseg.core.models.detector import INSTANCES
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.zoo.card import Card

GROUP = "corrections"
"""Name of the new data among the groups of images that a model was trained on."""

FEWEST_TO_CHOOSE = 10
"""With fewer images each is worth more learnt from than kept for a choice."""

_READING = "Reading training data"
_LARGEST_WHOLE = 2**22  # px; of a larger picture only the part that is judged is segmented


@dataclass(frozen=True, eq=False)
class Material:
    """The data of one fine-tuning.

    Attributes
    ----------
    train, held_out
        At the network's scale. With nothing held out, the images trained on take its place.
    choosing
        Images like `train`, kept apart from it where there are many: what the best weights are
        chosen by. The held-out ones are judged by, and a choice would make that too hopeful.
    fitted, judged
        Whole pictures at their own scale, known only where training or validation is.
    scale
        Network pixels per pixel.
    """

    train: list[LabelledImage]
    held_out: list[LabelledImage]
    choosing: list[LabelledImage]
    fitted: list[Source]
    judged: list[Source]
    scale: float


def prepare(
    sources: Sequence[Source],
    splits: Mapping[str, Split],
    parent: Card,
    config: TrainConfig,
) -> Generator[Progress, None, Material]:
    """Normalise, divide and rescale sources as the parent sees them.

    Intensities are scaled as in the whole picture, also where a part of it is trained on. For
    networks that find objects one by one, what is not known is blanked out.

    Parameters
    ----------
    sources
        What was reviewed.
    splits
        By `Source.sha256`.
    parent
        Card of the model to start from.
    config
        Settings of the run.

    Raises
    ------
    ChannelError
        If the parent does not take a source's channels.
    DataError
        If there is nothing to train on, or an object has a class that the parent does not know.
    """
    train: list[LabelledImage] = []
    held_out: list[LabelledImage] = []
    fitted: list[Source] = []
    judged: list[Source] = []
    for number, source in enumerate(sources):
        yield Progress(_READING, number, len(sources))
        _check_classes(source, parent)
        split = splits[source.sha256]
        seen = _as_seen(source, parent)
        for part, images, pictures in zip((0, 1), (train, held_out), (fitted, judged), strict=True):
            divided = parts(seen, split)[part]
            if divided is not None:
                images.append(_labelled(divided, config, parent.maps == INSTANCES))
                pictures.append(_in_place(source, split, part))
    if not any(image.labels.any() for image in train):
        raise DataError(
            "No corrected object is left to train on: accept or correct some more objects, in "
            "another picture or another part of it."
        )
    scale = common_scale(train, config.diameter) if config.diameter else 1.0
    train, held_out = (
        [enlarged(rescaled(i, scale), config.enlarged_below) for i in some]
        for some in (train, held_out)
    )
    learnt, choosing = set_apart(train)
    return Material(learnt, held_out or train, choosing, fitted, judged, scale)


def set_apart(train: Sequence[LabelledImage]) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Keep a tenth of many images for choosing the weights, none of few.

    Every tenth with objects, from the fifth on: pictures come in the order in which they were
    taken or added, and neighbours are alike.

    Returns
    -------
    Images to learn from, and to choose by.
    """
    with_objects = [k for k, image in enumerate(train) if image.labels.any()]
    if len(with_objects) < FEWEST_TO_CHOOSE:
        return list(train), []
    kept = set(with_objects[4::10])
    return (
        [image for k, image in enumerate(train) if k not in kept],
        [image for k, image in enumerate(train) if k in kept],
    )


def _check_classes(source: Source, parent: Card) -> None:
    foreign = sorted(set(source.classes.values()) - set(parent.types)) if parent.types else []
    if foreign:
        raise DataError(
            f"An object of '{source.name}' has the class '{foreign[0]}', which the model "
            f"'{parent.name}' does not know ({', '.join(parent.types)}): rename it."
        )


def _as_seen(source: Source, parent: Card) -> Source:
    """Return a source with the channels and intensities that the network is shown."""
    choice = source.channel_choice(parent)
    plane = source.image.plane((), choice.indices)
    limits = percentile_limits(
        plane, parent.normalization.low, parent.normalization.high, joint=choice.joint
    )
    pixels = normalize(plane, limits).astype(np.float16)
    image = Image(pixels, "YXC", name=source.image.name)
    return replace(source, image=image, channels=None)


def _labelled(source: Source, config: TrainConfig, blanked: bool) -> LabelledImage:
    """Return what is known of a source, with as much around it as a patch may show."""
    known = np.ones(source.labels.shape, bool) if source.known is None else source.known
    ids, labels = compact(np.where(known, source.labels, 0))
    pixels = source.image.plane()
    if blanked and not known.all():
        pixels = pixels.copy()
        pixels[~known] = np.median(pixels.astype(np.float32), axis=(0, 1))
    around = 2 * config.patch_size
    window = []
    for axis in (0, 1):
        places = np.flatnonzero(known.any(axis=1 - axis))
        window.append(slice(max(0, int(places[0]) - around), int(places[-1]) + around + 1))
    box = (window[0], window[1])
    numbers = {int(value): number for number, value in enumerate(ids.tolist())}
    return LabelledImage(
        source.name,
        GROUP,
        pixels[box],
        labels[box].astype(np.int32),
        median_diameter(labels),
        {numbers[one]: name for one, name in source.classes.items() if one in numbers},
        known[box],
    )


def _in_place(source: Source, split: Split, part: int) -> Source:
    """Return a part of a source as what is known of the whole picture."""
    divided = parts(source, split)[part]
    if divided is None or not isinstance(split, Strip) or source.labels.size > _LARGEST_WHOLE:
        return divided or source
    window: list[slice] = [slice(None), slice(None)]
    window[split.axis] = slice(*(split.train, split.validation)[part])
    box = (window[0], window[1])
    labels, known = np.zeros_like(source.labels), np.zeros(source.labels.shape, bool)
    labels[box] = divided.labels
    known[box] = True if divided.known is None else divided.known
    return replace(source, labels=labels, known=known)
