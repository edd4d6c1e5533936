"""How good the current weights are: labels from validation images against the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.classify import classify
from napari_cellseg.core.confusion import confusion, pooled
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.inference.detection import find_instances
from napari_cellseg.core.metrics import score
from napari_cellseg.core.models.detector import Detector
from napari_cellseg.core.models.registry import DenseModel, Maps, type_probabilities
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.progress import Progress

_SIDE = 768  # of larger images one block is looked at: where most is known, else the middle


ByteMaps = dict[str, npt.NDArray[np.uint8]]
LossOf = Callable[[Maps, LabelledImage], float]


def predict_logits(network: DenseModel, image: npt.NDArray[np.floating], channels: int) -> Maps:
    """Run a network over a whole small image.

    Parameters
    ----------
    image
        Normalised intensities (Y, X, C).
    channels
        Channels of the network; a grey image is repeated.

    Returns
    -------
    Logits ``(1, K, Y, X)`` by map name.
    """
    device = next(network.parameters()).device
    planes = image.transpose(2, 0, 1).astype(np.float32)
    if len(planes) < channels:
        planes = np.repeat(planes, channels, axis=0)
    batch = torch.from_numpy(np.ascontiguousarray(planes))[None].to(device)
    with torch.inference_mode():
        maps: Maps = network(batch.contiguous(memory_format=torch.channels_last))
    return maps


def to_bytes(network: DenseModel, logits: Maps) -> tuple[ByteMaps, ByteMaps]:
    """Return probabilities by map name, and those of the object classes by class name.

    uint8 (Y, X), 255 is 1.
    """
    maps = {
        name: _bytes(torch.sigmoid(value.float())[0, 0])
        for name, value in logits.items()
        if name != "classes"
    }
    if "classes" not in logits:
        return maps, {}
    types = zip(network.params.types, type_probabilities(logits["classes"])[0], strict=True)
    return maps, {name: _bytes(value) for name, value in types}


def _bytes(probability: torch.Tensor) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.uint8] = (probability * 255).round().byte().cpu().numpy()
    return values


def block(image: LabelledImage, side: int = _SIDE) -> LabelledImage:
    """Return the block of an image that is validated, at most `side` pixels wide and high."""
    shape = image.labels.shape
    middle = [n / 2 for n in shape]
    if image.known is not None and max(shape) > side and image.known.any():
        counted = [np.cumsum(image.known.sum(axis=1 - axis, dtype=float)) for axis in (0, 1)]
        middle = [float(np.searchsorted(count, count[-1] / 2)) for count in counted]
    starts = [
        int(np.clip(m - side / 2, 0, max(0, n - side))) for m, n in zip(middle, shape, strict=True)
    ]
    window = (slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side))
    return replace(
        image,
        image=image.image[window],
        labels=image.labels[window],
        known=None if image.known is None else image.known[window],
    )


def validate(
    network: DenseModel | Detector,
    images: Sequence[LabelledImage],
    channels: int,
    post: PostParams,
    loss_of: LossOf | None = None,
) -> Generator[Progress, None, dict[str, float]]:
    """Score a network with default post-processing, at the images' own scale.

    Where an image is known in parts, objects are left out that are predicted mostly elsewhere.

    Parameters
    ----------
    loss_of
        Gives the loss of the logits of an image; of networks that find objects one by one, which
        have none, that of the image alone.

    Yields
    ------
    Progress
        One step an image.

    Returns
    -------
    ``ap50``, ``map`` and ``pq``, means over images, and ``ap50_GROUP`` for each group; with object
    classes also ``class_f1``, the mean over classes of F1 over all images; ``validation_loss`` if
    asked for.
    """
    rows = defaultdict(list)
    confusions = []
    for done, image in enumerate(images):
        yield Progress("Validating", done, len(images))
        part = block(image)
        classes: ByteMaps = {}
        if isinstance(network, Detector):
            if loss_of:
                rows["validation_loss"].append(loss_of({}, part))
            found = PostProcessor(find_instances(network, part.image, channels))
        else:
            logits = predict_logits(network, part.image, channels)
            if loss_of:
                rows["validation_loss"].append(loss_of(logits, part))
            maps, classes = to_bytes(network, logits)
            found = PostProcessor(maps)
        labels = _among_known(found.run(post).labels, part.known)
        result = score(part.labels, labels)
        if classes:
            given = classify(labels, classes).by_id()
            confusions.append(confusion(part.labels, labels, part.classes, given, tuple(classes)))
        rows["ap50"].append(result.ap[0])
        rows["map"].append(result.map)
        rows["pq"].append(result.pq)
        rows[f"ap50_{image.group}"].append(result.ap[0])
    means = {name: float(np.mean(values)) for name, values in rows.items()}
    return {**means, "class_f1": pooled(confusions).mean_f1()} if confusions else means


def _among_known(
    labels: npt.NDArray[np.int32], known: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.int32]:
    """Remove objects of which less than half lies where it is known what is there."""
    if known is None or known.all():
        return labels
    areas = np.bincount(labels.reshape(-1))
    inside = np.bincount(labels[known], minlength=areas.size)
    return np.where((2 * inside >= areas)[labels], labels, 0).astype(np.int32)
