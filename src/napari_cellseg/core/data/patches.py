"""Batches of augmented patches, each a function of seed and number alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment import (
    AugmentParams,
    Patch,
    change_intensities,
    cut_patch,
)
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import TargetParams, contour_map, make_targets
from napari_cellseg.core.errors import DataError

_ON_OBJECT = 0.8  # share of patches whose middle lies on an object


class PatchSampler:
    """Draws patches; batch k is the same whatever was drawn before, so a run can be resumed.

    Images are drawn so that each group has a share proportional to the square root of its number
    of images: rare kinds are seen more often than their number says, yet do not rule. Contours
    between objects are few, and hard to learn; so a share of the patches is cut where objects
    touch, from the images in which they do.

    Parameters
    ----------
    images
        What patches are cut from.
    size
        Side of a patch in pixels.
    channels
        Channels of the network: grey images are repeated, colour needs three.
    augment, targets
        How patches are changed, and which maps are made of their labels.
    touching
        Share of patches whose middle lies near a place where two objects touch.
    seed
        Patches of the same seed are the same.
    types
        Names of the object classes in the order of the network, if it tells any apart.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        size: int,
        channels: int,
        augment: AugmentParams,
        targets: TargetParams,
        touching: float,
        seed: int,
        types: Sequence[str] = (),
    ) -> None:
        self._images = [image for image in images if image.labels.any()]
        if not self._images:
            raise DataError("No training image holds a labelled object. Add images with labels.")
        wrong = [i for i in self._images if i.image.shape[2] not in (1, channels)]
        if wrong:
            raise DataError(
                f"'{wrong[0].name}' has {wrong[0].image.shape[2]} channels but the model takes "
                f"{channels}. Train on images of one kind, or change the model's channels."
            )
        self._size, self._channels, self._seed = size, channels, seed
        self._augment, self._targets, self._types = augment, targets, types
        self._shares = _shares(self._images)
        lines = [_touching_pixels(image.labels) for image in self._images]
        self._crowded = [(i, at) for i, at in zip(self._images, lines, strict=True) if len(at)]
        self._crowded_shares = _shares([image for image, _ in self._crowded])
        self._touching = touching if self._crowded else 0.0

    def patch(self, number: int) -> Patch:
        """Return patch `number`, augmented."""
        return self._draw(number)[0]

    def _draw(self, number: int) -> tuple[Patch, LabelledImage]:
        rng = np.random.default_rng((self._seed, number))
        source, center = self._place(rng)
        patch = cut_patch(source.image, source.labels, center, self._size, self._augment, rng)
        image = patch.image
        if len(image) < self._channels:
            image = np.repeat(image, self._channels, axis=0)
        image = change_intensities(image, self._augment, rng)
        return Patch(image, patch.labels), source

    def _place(self, rng: np.random.Generator) -> tuple[LabelledImage, tuple[float, float]]:
        """Choose an image, and what lies in the middle of the patch."""
        if rng.random() < self._touching:
            source, pixels = self._crowded[rng.choice(len(self._crowded), p=self._crowded_shares)]
            row, column = divmod(int(rng.choice(pixels)), source.labels.shape[1])
            jitter = rng.uniform(-self._size / 4, self._size / 4, 2)
            return source, (float(row + jitter[0]), float(column + jitter[1]))
        source = self._images[rng.choice(len(self._images), p=self._shares)]
        return source, self._center(source.labels, rng)

    def _center(
        self, labels: npt.NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[float, float]:
        if rng.random() < _ON_OBJECT:
            for _ in range(200):
                row, column = rng.integers(labels.shape[0]), rng.integers(labels.shape[1])
                if labels[row, column]:
                    break
        else:
            row, column = rng.integers(labels.shape[0]), rng.integers(labels.shape[1])
        jitter = rng.uniform(-self._size / 3, self._size / 3, 2)
        return float(row + jitter[0]), float(column + jitter[1])

    def batch(self, number: int, size: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return batch `number` of `size` patches.

        Returns
        -------
        image
            float32 ``(B, C, Y, X)``, channels last in memory.
        targets
            By map name, float32 ``(B, 1, Y, X)``; ``"classes"`` is int64.
        """
        drawn = [self._draw(number * size + k) for k in range(size)]
        image = torch.from_numpy(np.stack([patch.image for patch, _ in drawn]))
        maps = [
            make_targets(patch.labels, self._targets, source.classes, self._types)
            for patch, source in drawn
        ]
        return image.contiguous(memory_format=torch.channels_last), {
            name: torch.from_numpy(np.stack([m[name] for m in maps]))[:, None] for name in maps[0]
        }


def _shares(images: Sequence[LabelledImage]) -> npt.NDArray[np.float64]:
    """Return how often each image is drawn; all together 1."""
    counts = Counter(image.group for image in images)
    weights = np.array([counts[image.group] ** -0.5 for image in images])
    return np.asarray(weights / weights.sum())


def _touching_pixels(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return the flat indices of the pixels that lie between two objects."""
    between = contour_map(labels, TargetParams(contour="touching", contour_width=2))
    return np.flatnonzero(between).astype(np.int64, copy=False)
