"""What a person has reviewed: which pixels and objects of a picture can be trusted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.postprocess.stack import HasPlanes

BoolArray = npt.NDArray[np.bool_]
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Reviewed:
    """A prediction, and which labels of the same picture can be trusted.

    Objects are taken whole: one belongs to the area if more than half of it lies inside.

    Attributes
    ----------
    prediction
        The maps, or objects found one by one.
    truth
        Integer labels (..., Y, X) of the prediction's shape, ids of any size, 0 is background.
    area
        True where every object is right and nothing is missing, (..., Y, X). None stands for the
        whole picture, or for nothing where there are `accepted` objects.
    accepted
        Ids of objects that are right wherever they lie.

    Raises
    ------
    DataError
        If shapes differ, or the labels are not integers.
    """

    prediction: HasPlanes
    truth: npt.NDArray[Any]
    area: BoolArray | None = None
    accepted: Collection[int] = ()

    def __post_init__(self) -> None:
        for name, array in (("labels", self.truth), ("reviewed area", self.area)):
            if array is not None and array.shape != self.prediction.shape:
                raise DataError(
                    f"The {name} {array.shape} and the prediction {self.prediction.shape} differ "
                    "in shape: give those of the picture that was segmented."
                )
        if not np.issubdtype(self.truth.dtype, np.integer):
            raise DataError("The labels are not integers: give an image of object numbers.")

    def planes(self) -> Iterator[tuple[int, ...]]:
        """Yield the index of every plane."""
        return product(*(range(n) for n in self.prediction.shape[:-2]))

    def claimed(self, index: tuple[int, ...]) -> BoolArray:
        """Return where something was reviewed in a plane, (Y, X): area and accepted objects."""
        if self.area is not None:
            mask = np.array(self.area[index], bool)
        else:
            mask = np.full(self.prediction.shape[-2:], not self.accepted)
        if self.accepted:
            mask |= np.isin(self.truth[index], self._accepted)
        return mask

    def trusted(self, index: tuple[int, ...]) -> tuple[Int32Array, BoolArray]:
        """Return the objects of a plane that are right, and where it is known what is there.

        Returns
        -------
        objects
            int32 (Y, X), numbered 1..N.
        known
            Boolean (Y, X): the area without objects of which most lies outside, and `objects`.
        """
        return trusted_objects(self.truth[index], self.claimed(index))

    @property
    def _accepted(self) -> npt.NDArray[np.int64]:
        return np.fromiter((one for one in self.accepted if one > 0), np.int64)


def trusted_objects(labels: npt.NDArray[Any], claimed: BoolArray) -> tuple[Int32Array, BoolArray]:
    """Return the objects of which most lies where things are claimed to be right.

    Parameters
    ----------
    labels
        Integer ids (Y, X), 0 is background.
    claimed
        Where they are right, boolean (Y, X).

    Returns
    -------
    objects
        int32 (Y, X), numbered 1..N.
    known
        Boolean (Y, X): `claimed` without the other objects, and `objects`.
    """
    ids, number = compact(labels)
    sizes = np.bincount(number.reshape(-1), minlength=ids.size)
    inside = np.bincount(number[claimed], minlength=ids.size)
    right = 2 * inside > sizes
    right[ids <= 0] = False
    objects = np.where(right, np.cumsum(right), 0).astype(np.int32)[number]
    unsure = ~right & (ids > 0)
    return objects, (claimed & ~unsure[number]) | (objects > 0)


def compact(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Give every object a small number.

    Returns
    -------
    ids
        Ids in ascending order; there may be some that do not occur.
    number
        Position in `ids` of each pixel's id, of the shape of `labels`.
    """
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high <= labels.size:
        return np.arange(high + 1), labels.astype(np.intp, copy=False)  # a sort takes seconds
    ids, number = np.unique(labels, return_inverse=True)
    return ids, number.reshape(labels.shape)
