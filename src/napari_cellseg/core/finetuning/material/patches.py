"""Square pieces of labelled images, small enough to travel with a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.data.sources import LabelledImage, median_diameter
from napari_cellseg.core.finetuning.material.source import Source

Part = Literal["train", "held-out"]
Corner = tuple[int, int]

SIDE = 256
"""Height and width of a patch in px."""

UNKNOWN = 65535
"""Label of the pixels of which it is not known what is there."""

_GRIDS = 32  # places that are tried


@dataclass(frozen=True, eq=False)
class ReplayPatch:
    """One patch, at the scale at which the network sees such images.

    Attributes
    ----------
    name, group
        Of the image that it is cut from.
    part
        ``"train"`` to learn from, ``"held-out"`` to judge by.
    image
        uint8 (256, 256, C): intensities of the normalised image, 255 is 1.
    labels
        uint16 (256, 256): objects 1..N, 0 is background, `UNKNOWN` is not known.
    """

    name: str
    group: str
    part: Part
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint16]

    @property
    def known(self) -> npt.NDArray[np.bool_] | None:
        """Where it is known what is there, boolean (256, 256); None: everywhere."""
        unknown = self.labels == UNKNOWN
        return ~unknown if unknown.any() else None

    @property
    def objects(self) -> npt.NDArray[np.int32]:
        """Objects as int32, 0 also where nothing is known."""
        return np.where(self.labels == UNKNOWN, 0, self.labels).astype(np.int32)

    def to_train(self) -> LabelledImage:
        """Return the patch as training takes it; classes of objects are not kept."""
        image = (self.image / np.float32(255)).astype(np.float16)
        labels = self.objects
        diameter = median_diameter(labels)
        return LabelledImage(self.name, self.group, image, labels, diameter, known=self.known)

    def to_judge(self) -> Source:
        """Return the patch as a comparison of models takes it."""
        grey = self.image.shape[2] == 1
        pixels = self.image[..., 0] if grey else self.image
        image = Image(pixels, "YX" if grey else "YXC", rgb=self.image.shape[2] == 3, name=self.name)
        return Source(self.name, image, self.objects, self.known)


def cut_patches(image: LabelledImage, part: Part, count: int, seed: int = 0) -> list[ReplayPatch]:
    """Cut patches that hold many objects from an image; they share no pixels.

    In a held-out patch objects of which most lies outside count as unknown: what little of them is
    left cannot be judged. A smaller image is mirrored at its border, where nothing is known.

    Parameters
    ----------
    image
        At the scale at which the network sees it.
    part
        What the patches are for.
    count
        Most patches.
    seed
        Of the places that are tried.

    Returns
    -------
    At most `count` patches; none without objects.
    """
    labels = image.labels.astype(np.int64)
    if image.known is not None:
        labels[~image.known] = -1
    rows, columns = (max(0, SIDE - n) for n in labels.shape)
    pixels = np.pad(image.image, ((0, rows), (0, columns), (0, 0)), "symmetric")
    labels = np.pad(labels, ((0, rows), (0, columns)), constant_values=-1)
    size = np.bincount(labels[labels > 0])
    rng = np.random.default_rng(seed)
    grids = [_best(labels, _grid(labels.shape, rng), count) for _ in range(_GRIDS)]
    taken = max(grids, key=lambda grid: sum(found for found, _ in grid))
    return [
        ReplayPatch(
            image.name,
            image.group,
            part,
            (_window(pixels, corner).astype(np.float32) * 255).round().astype(np.uint8),
            _stored(_window(labels, corner), size if part == "held-out" else None),
        )
        for _, corner in taken
    ]


def _grid(shape: tuple[int, ...], rng: np.random.Generator) -> list[Corner]:
    """Return the corners of patches side by side, as many as fit, at a random place."""
    starts = [rng.integers(n % SIDE + 1) + np.arange(0, n - SIDE + 1, SIDE) for n in shape]
    return [(int(top), int(left)) for top in starts[0] for left in starts[1]]


def _best(labels: npt.NDArray[Any], corners: list[Corner], count: int) -> list[tuple[int, Corner]]:
    """Return the patches with most objects, each with their number, which is not 0."""
    windows = [(_window(labels, corner), corner) for corner in corners]
    found = [(len(np.unique(window[window > 0])), corner) for window, corner in windows]
    return [one for one in sorted(found, reverse=True)[:count] if one[0]]


def _window(array: npt.NDArray[Any], corner: Corner) -> npt.NDArray[Any]:
    top, left = corner
    return array[top : top + SIDE, left : left + SIDE]


def _stored(labels: npt.NDArray[Any], size: npt.NDArray[np.int64] | None) -> npt.NDArray[np.uint16]:
    ids, number = np.unique(labels, return_inverse=True)
    number = number.reshape(labels.shape)
    right = ids > 0
    if size is not None:
        right &= 2 * np.bincount(number.reshape(-1)) > np.append(size, 0)[np.maximum(ids, 0)]
    values = np.where(right, np.cumsum(right), np.where(ids == 0, 0, UNKNOWN))
    return values.astype(np.uint16)[number]
