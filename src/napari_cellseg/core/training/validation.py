"""How good the current weights are: labels from validation images against the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.inference.detection import find_instances
from napari_cellseg.core.metrics import score
from napari_cellseg.core.models.detector import Detector
from napari_cellseg.core.models.registry import DenseModel
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.progress import Progress

_SIDE = 768  # larger images are looked at in their middle only


def predict_maps(
    network: DenseModel, image: npt.NDArray[np.floating], channels: int
) -> dict[str, npt.NDArray[np.uint8]]:
    """Run a network over a whole small image.

    Parameters
    ----------
    image
        Normalised intensities (Y, X, C).
    channels
        Channels of the network; a grey image is repeated.

    Returns
    -------
    Probabilities by map name, uint8 (Y, X), 255 is 1.
    """
    device = next(network.parameters()).device
    planes = image.transpose(2, 0, 1).astype(np.float32)
    if len(planes) < channels:
        planes = np.repeat(planes, channels, axis=0)
    batch = torch.from_numpy(np.ascontiguousarray(planes))[None].to(device)
    with torch.inference_mode():
        logits = network(batch.contiguous(memory_format=torch.channels_last))
    return {
        name: (torch.sigmoid(value.float())[0, 0] * 255).round().byte().cpu().numpy()
        for name, value in logits.items()
    }


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
    ``ap50``, ``map`` and ``pq``, means over images, and ``ap50_GROUP`` for each group.
    """
    rows = defaultdict(list)
    for done, image in enumerate(images):
        yield Progress("Validating", done, len(images))
        middle = tuple(
            slice(max(0, (n - _SIDE) // 2), max(0, (n - _SIDE) // 2) + _SIDE)
            for n in image.labels.shape
        )
        part = image.image[middle]
        if isinstance(network, Detector):
            found = PostProcessor(find_instances(network, part, channels))
        else:
            found = PostProcessor(predict_maps(network, part, channels))
        labels = found.run(post).labels
        result = score(image.labels[middle], labels)
        rows["ap50"].append(result.ap[0])
        rows["map"].append(result.map)
        rows["pq"].append(result.pq)
        rows[f"ap50_{image.group}"].append(result.ap[0])
    return {name: float(np.mean(values)) for name, values in rows.items()}
