"""Where patches are cut: a set of images, and the places in them that are worth most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import TargetParams, contour_map

_ON_OBJECT = 0.8  # share of patches whose middle lies on an object


class Pool:
    """Images, drawn so that rare kinds are seen more often than their number says.

    Each group has a share proportional to the square root of its number of images. Contours between
    objects are few, and hard to learn; so a share of the patches is cut where objects touch, from
    the images in which they do. Where it is known only in parts what an image shows, patches lie
    around what is known.

    Parameters
    ----------
    images
        At least one.
    touching
        Share of patches whose middle lies near a place where two objects touch.

    Attributes
    ----------
    shares
        How often each image is drawn; all together 1.
    """

    def __init__(self, images: Sequence[LabelledImage], touching: float) -> None:
        self._images = images
        self.shares = _shares(images)
        lines = [_touching_pixels(image.labels) for image in images]
        self._crowded = [(i, at) for i, at in zip(images, lines, strict=True) if len(at)]
        self._crowded_shares = _shares([image for image, _ in self._crowded])
        self._touching = touching if self._crowded else 0.0

    def place(
        self, size: int, rng: np.random.Generator
    ) -> tuple[LabelledImage, tuple[float, float]]:
        """Choose an image, and what lies in the middle of a patch of side `size`."""
        if rng.random() < self._touching:
            source, pixels = self._crowded[rng.choice(len(self._crowded), p=self._crowded_shares)]
            row, column = divmod(int(rng.choice(pixels)), source.labels.shape[1])
            jitter = rng.uniform(-size / 4, size / 4, 2)
            return source, (float(row + jitter[0]), float(column + jitter[1]))
        source = self._images[rng.choice(len(self._images), p=self.shares)]
        row, column = _center(source, rng)
        jitter = rng.uniform(-size / 3, size / 3, 2)
        return source, (float(row + jitter[0]), float(column + jitter[1]))


def _center(source: LabelledImage, rng: np.random.Generator) -> tuple[int, int]:
    labels = source.labels
    on_object = rng.random() < _ON_OBJECT
    if source.known is not None:
        pixels = np.flatnonzero(labels) if on_object else np.zeros(0, np.intp)
        pixels = pixels if len(pixels) else np.flatnonzero(source.known)
        row, column = divmod(int(rng.choice(pixels)), labels.shape[1])
        return row, column
    for _ in range(200 if on_object else 1):
        row, column = int(rng.integers(labels.shape[0])), int(rng.integers(labels.shape[1]))
        if labels[row, column]:
            break
    return row, column


def _shares(images: Sequence[LabelledImage]) -> npt.NDArray[np.float64]:
    """Return how often each image is drawn; all together 1."""
    counts = Counter(image.group for image in images)
    weights = np.array([counts[image.group] ** -0.5 for image in images])
    return np.asarray(weights / weights.sum())


def _touching_pixels(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return the flat indices of the pixels that lie between two objects."""
    between = contour_map(labels, TargetParams(contour="touching", contour_width=2))
    return np.flatnonzero(between).astype(np.int64, copy=False)
