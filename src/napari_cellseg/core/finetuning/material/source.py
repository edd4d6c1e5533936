"""One picture to learn from: its pixels, the objects that are right, and where that is known."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.fitting.reviewed import (
    BoolArray,
    Int32Array,
    compact,
    trusted_objects,
)
from napari_cellseg.core.inference.channels import ChannelChoice, choose_channels
from napari_cellseg.core.zoo.card import Card

BAND = 8
"""Pixels around an accepted object that count as reviewed where no area was marked."""


@dataclass(frozen=True, eq=False)
class Source:
    """One plane with objects that are right, and where it is known what is there.

    Attributes
    ----------
    name
        Shown to the user; need not be unique.
    image
        One plane, axes ``"YX"`` or ``"YXC"``, in its own intensities.
    labels
        int32 (Y, X), the objects that are right; 0 is background where `known`.
    known
        Boolean (Y, X): nothing may be learned or scored elsewhere. None: known everywhere.
    classes
        Classes of objects by their numbers, as far as they are known.
    channels
        Channels that the model is given, as in ``preparation.channels``; None for all.

    Raises
    ------
    DataError
        If the arrays do not fit each other.
    """

    name: str
    image: Image
    labels: Int32Array
    known: BoolArray | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.image.axes not in ("YX", "YXC"):
            raise DataError(
                f"'{self.name}' has the axes {self.image.axes}: give one plane of it, with axes "
                "YX or YXC."
            )
        for what, array in (("labels", self.labels), ("reviewed area", self.known)):
            if array is not None and array.shape != self.image.shape[:2]:
                raise DataError(
                    f"The {what} {array.shape} and the image {self.image.shape[:2]} of "
                    f"'{self.name}' differ in shape: give those of the same picture."
                )
        if self.labels.dtype != np.int32:
            raise DataError(
                f"The labels of '{self.name}' are {self.labels.dtype}, not int32: convert them."
            )
        if self.known is not None and self.known.dtype != np.bool_:
            raise DataError(
                f"The reviewed area of '{self.name}' is {self.known.dtype}, not true or false: "
                "convert it."
            )

    @cached_property
    def sha256(self) -> str:
        """Hash of the pixels: equal for equal pictures, whatever they are called."""
        plane = self.image.plane()
        if plane.dtype == np.bool_:
            plane = plane.view(np.uint8)
        plane = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))
        digest = hashlib.sha256(f"{plane.dtype.str} {plane.shape} ".encode())
        digest.update(plane.data)
        return digest.hexdigest()

    @cached_property
    def objects(self) -> int:
        """Number of different objects."""
        highest = int(self.labels.max(initial=0))
        if highest > self.labels.size:  # sparse numbers: a table of them all could fill the memory
            return int(np.count_nonzero(np.unique(self.labels) > 0))
        return int(np.count_nonzero(np.bincount(self.labels[self.labels > 0])))

    @cached_property
    def area(self) -> int:
        """Number of pixels that are known."""
        return self.labels.size if self.known is None else int(np.count_nonzero(self.known))

    def channel_choice(self, card: Card) -> ChannelChoice:
        """Return the channels that a model is given, as when it segments the picture.

        Raises
        ------
        ChannelError
            If the model of `card` does not take such channels.
        """
        return choose_channels(self.image, self.channels, card)


def source_from(
    image: Image,
    labels: npt.NDArray[Any],
    area: BoolArray | None = None,
    accepted: Collection[int] = (),
    *,
    index: tuple[int, ...] = (),
    name: str | None = None,
    classes: Mapping[int, str] | None = None,
    channels: tuple[int, ...] | None = None,
) -> Source:
    """Take from a picture what a person has reviewed, as `Reviewed.trusted` does.

    Where no area is marked, only the `accepted` objects are known, and the background in a band of
    `BAND` px around them.

    Parameters
    ----------
    image
        The picture, or the stack that it is a plane of.
    labels
        Integers (Y, X), or (..., Y, X) of the whole stack; 0 is background.
    area
        Boolean of the same shape: true where every object is right and nothing is missing.
    accepted
        Ids of objects that were edited or accepted; those of other planes may be among them.
    index
        Position of the plane along the image's leading axes.
    name
        Name of the source; None takes the image's.
    classes
        Classes of objects by their ids.
    channels
        As of `Source`.

    Returns
    -------
    Source
        With copies of the pixels; its objects are numbered 1..N in the order of their ids.

    Raises
    ------
    DataError
        If shapes differ, the labels are not integers, or nothing is reviewed.
    """
    name = image.name if name is None else name
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"The labels of '{name}' are not integers: give an image of numbers.")
    size = (image.size("Y"), image.size("X"))
    labels = _plane(labels, index, size, f"labels of '{name}'")
    if area is not None:
        area = _plane(area, index, size, f"reviewed area of '{name}'").astype(bool)
        area = area if area.any() else None
    ids, number = compact(labels)
    chosen = np.isin(ids, np.fromiter((one for one in accepted if one > 0), np.int64))[number]
    objects, known = trusted_objects(labels, chosen if area is None else area | chosen)
    if area is None:
        if not objects.any():
            raise DataError(
                f"Nothing of '{name}' is reviewed: accept or correct some objects, or mark an area "
                "in which all of them are right."
            )
        known |= _band(known) & (labels <= 0)
    named: dict[int, str] = {}
    if classes:
        new = np.zeros(ids.size, np.int32)
        new[number] = objects
        to = dict(zip(ids[new > 0].tolist(), new[new > 0].tolist(), strict=True))
        named = {to[one]: kind for one, kind in classes.items() if one in to}
    return Source(name, _copied(image, index), objects, known, named, channels)


def _plane(
    array: npt.NDArray[Any], index: tuple[int, ...], size: tuple[int, int], what: str
) -> npt.NDArray[Any]:
    if array.ndim > 2 and array.ndim == 2 + len(index):
        array = array[index]
    if array.shape != size:
        raise DataError(
            f"The {what} {array.shape} and the image {size} differ in shape: give those of the "
            "same picture."
        )
    return array


def _band(objects: BoolArray) -> BoolArray:
    """Return where an object is at most `BAND` px away, along rows and columns."""
    from scipy import ndimage  # not for a mere look at the settings

    near = ndimage.maximum_filter(objects.view(np.uint8), 2 * BAND + 1, mode="constant")
    return np.asarray(near, dtype=bool)


def _copied(image: Image, index: tuple[int, ...]) -> Image:
    plane = np.array(image.plane(index))
    axes = "YXC" if "C" in image.axes else "YX"
    return Image(
        plane if axes == "YXC" else plane[..., 0],
        axes,
        image.pixel_size,
        channel_names=image.channel_names,
        rgb=image.rgb,
        name=image.name,
        source=image.source,
    )
