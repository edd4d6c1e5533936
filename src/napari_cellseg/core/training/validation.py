"""How good the current weights are: labels from validation images against the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.classify import classify
from napari_cellseg.core.confusion import confusion, pooled
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.inference.detection import find_instances
from napari_cellseg.core.metrics import score
from napari_cellseg.core.models.detector import Detector
from napari_cellseg.core.models.registry import DenseModel, type_probabilities
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.progress import Progress

_SIDE = 768  # larger images are looked at in their middle only


ByteMaps = dict[str, npt.NDArray[np.uint8]]


def predict_maps(
    network: DenseModel, image: npt.NDArray[np.floating], channels: int
) -> tuple[ByteMaps, ByteMaps]:
    """Run a network over a whole small image.

    Parameters
    ----------
    image
        Normalised intensities (Y, X, C).
    channels
        Channels of the network; a grey image is repeated.

    Returns
    -------
    Probabilities by map name, and those of the object classes by class name, uint8 (Y, X), 255
    is 1.
    """
    device = next(network.parameters()).device
    planes = image.transpose(2, 0, 1).astype(np.float32)
    if len(planes) < channels:
        planes = np.repeat(planes, channels, axis=0)
    batch = torch.from_numpy(np.ascontiguousarray(planes))[None].to(device)
    with torch.inference_mode():
        logits = network(batch.contiguous(memory_format=torch.channels_last))
    classes = logits.pop("classes", None)
    maps = {name: _bytes(torch.sigmoid(value.float())[0, 0]) for name, value in logits.items()}
    if classes is None:
        return maps, {}
    types = zip(network.params.types, type_probabilities(classes)[0], strict=True)
    return maps, {name: _bytes(value) for name, value in types}


def _bytes(probability: torch.Tensor) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.uint8] = (probability * 255).round().byte().cpu().numpy()
    return values


def validate(
    network: DenseModel | Detector, images: Sequence[LabelledImage], channels: int, post: PostParams
) -> Generator[Progress, None, dict[str, float]]:
    """Score a network with default post-processing, at the images' own scale.

    Yields
    ------
    Progress
        One step an image.

    Returns
    -------
    ``ap50``, ``map`` and ``pq``, means over images, and ``ap50_GROUP`` for each group; with object
    classes also ``class_f1``, the mean over classes of F1 over all images.
    """
    rows = defaultdict(list)
    confusions = []
    for done, image in enumerate(images):
        yield Progress("Validating", done, len(images))
        middle = tuple(
            slice(max(0, (n - _SIDE) // 2), max(0, (n - _SIDE) // 2) + _SIDE)
            for n in image.labels.shape
        )
        part = image.image[middle]
        classes: ByteMaps = {}
        if isinstance(network, Detector):
            found = PostProcessor(find_instances(network, part, channels))
        else:
            maps, classes = predict_maps(network, part, channels)
            found = PostProcessor(maps)
        labels = found.run(post).labels
        result = score(image.labels[middle], labels)
        if classes:
            given = classify(labels, classes).by_id()
            truth = image.labels[middle]
            confusions.append(confusion(truth, labels, image.classes, given, tuple(classes)))
        rows["ap50"].append(result.ap[0])
        rows["map"].append(result.map)
        rows["pq"].append(result.pq)
        rows[f"ap50_{image.group}"].append(result.ap[0])
    means = {name: float(np.mean(values)) for name, values in rows.items()}
    return {**means, "class_f1": pooled(confusions).mean_f1()} if confusions else means
