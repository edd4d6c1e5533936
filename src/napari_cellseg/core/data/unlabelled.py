"""Images without labels, and the patches that a student compares with its teacher on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment import change_intensities
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.cutting import cut_patch
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.inference.preparation import Normalization, normalize, percentile_limits
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import find_images, read_image

_STREAM = 1  # random numbers apart from those of the labelled patches


def load_unlabelled(
    paths: Sequence[Path], normalization: Normalization
) -> Generator[Progress, None, list[npt.NDArray[np.float16]]]:
    """Read and normalise images, each plane of a stack by itself.

    Parameters
    ----------
    paths
        Files, or folders of them.
    normalization
        As for labelled images.

    Yields
    ------
    Progress
        One step a file.

    Returns
    -------
    Planes (Y, X, C), float16 in [0, 1].

    Raises
    ------
    DataError
        If a path does not exist or a file cannot be read.
    """
    planes: list[npt.NDArray[np.float16]] = []
    try:
        files = find_images(paths)
        for done, path in enumerate(files):
            yield Progress("Reading unlabelled images", done, len(files))
            image = read_image(path)
            for index in image.planes():
                plane = image.plane(index, None)
                limits = percentile_limits(
                    plane, normalization.low, normalization.high, joint=image.rgb
                )
                planes.append(normalize(plane, limits).astype(np.float16))
    except ImageError as error:
        raise DataError(f"Unlabelled images cannot be read: {error}") from error
    return planes


class UnlabelledSampler:
    """Draws pairs of patches with equal geometry: as they are, and with changed intensities.

    Batch k is the same whatever was drawn before.

    Parameters
    ----------
    planes
        Images (Y, X, C).
    size
        Side of a patch in pixels.
    channels
        Channels of the network: grey images are repeated.
    augment
        How patches are changed.
    seed
        Patches of the same seed are the same.

    Raises
    ------
    DataError
        If an image has other channels than the network.
    """

    def __init__(
        self,
        planes: Sequence[npt.NDArray[np.floating]],
        size: int,
        channels: int,
        augment: AugmentParams,
        seed: int,
    ) -> None:
        wrong = [p.shape[2] for p in planes if p.shape[2] not in (1, channels)]
        if wrong:
            raise DataError(
                f"An unlabelled image has {wrong[0]} channels but the model takes {channels}. "
                "Give images of one kind."
            )
        self._planes, self._size, self._channels = planes, size, channels
        self._augment, self._seed = augment, seed

    def __len__(self) -> int:
        return len(self._planes)

    def batch(self, number: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return batch `number` of `size` patches, plain and changed, float32 ``(B, C, Y, X)``."""
        pairs = [self._pair(number * size + k) for k in range(size)]
        plain, changed = (torch.from_numpy(np.stack(some)) for some in zip(*pairs, strict=True))
        layout = torch.channels_last
        return plain.contiguous(memory_format=layout), changed.contiguous(memory_format=layout)

    def _pair(self, number: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        rng = np.random.default_rng((self._seed, _STREAM, number))
        plane = self._planes[int(rng.integers(len(self._planes)))]
        height, width = plane.shape[:2]
        center = (rng.uniform(0, height), rng.uniform(0, width))
        nothing = np.broadcast_to(np.int32(0), (height, width))
        image = cut_patch(plane, nothing, center, self._size, self._augment, rng).image
        if len(image) < self._channels:
            image = np.repeat(image, self._channels, axis=0)
        return np.clip(image, 0, 1), change_intensities(image, self._augment, rng)
