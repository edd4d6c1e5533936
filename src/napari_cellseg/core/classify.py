"""The class of each object: that of its pixels' mean probability, and how certain it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LONGEST_TABLE = 2**24  # numbers; higher ones are made consecutive first, which takes a sorting


@dataclass(frozen=True, eq=False)
class ObjectClasses:
    """Classes of all objects of an image.

    Attributes
    ----------
    types
        Names of the classes, in the network's order.
    ids
        Numbers of the objects, ascending, (N,).
    probability
        Mean probability of each class over the object's pixels, float64 (N, K). What is missing to
        1 is background.
    """

    types: tuple[str, ...]
    ids: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]

    @property
    def index(self) -> npt.NDArray[np.int64]:
        """Place of each object's class in `types`; of equal ones the first."""
        return np.asarray(np.argmax(self.probability, axis=1), np.int64)

    @property
    def margin(self) -> npt.NDArray[np.float64]:
        """By how much the class leads before the second one, 0 to 1; a lone class before 0."""
        padded = np.pad(self.probability, ((0, 0), (1, 0)))
        top = np.sort(padded, axis=1)[:, -2:]
        return np.asarray(top[:, 1] - top[:, 0])

    def names(self) -> list[str]:
        """Return the class name of each object."""
        return [self.types[k] for k in self.index]

    def by_id(self) -> dict[int, str]:
        """Return the class names by object number."""
        return dict(zip(self.ids.tolist(), self.names(), strict=True))

    def to_csv(self) -> str:
        """Return a row an object: label, class, margin, and each class's mean probability."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["label", "class", "margin", *(f"p_{name}" for name in self.types)])
        rows = zip(self.ids, self.names(), self.margin, self.probability, strict=True)
        for label, name, margin, probability in rows:
            writer.writerow([label, name, f"{margin:.4f}", *(f"{p:.4f}" for p in probability)])
        return text.getvalue()


def classify(
    labels: npt.NDArray[np.integer], classes: Mapping[str, npt.NDArray[np.uint8]]
) -> ObjectClasses:
    """Give each object the class of its pixels' mean probability.

    Parameters
    ----------
    labels
        Object numbers (..., Y, X), 0 is background; an object may lie in several planes.
    classes
        For each class uint8 of the same shape, the probability times 255; read plane by plane.

    Returns
    -------
    ObjectClasses
        A row for every object in `labels`.
    """
    size = int(labels.max(initial=0)) + 1
    if size > _LONGEST_TABLE:
        known, place = np.unique(labels, return_inverse=True)
        found = classify(place.reshape(labels.shape) + int(known[0] > 0), classes)
        ids = known[known > 0].astype(np.int64)
        return ObjectClasses(found.types, ids, found.probability)
    area = np.zeros(size)
    total = np.zeros((len(classes), size))
    for index in np.ndindex(labels.shape[:-2]):
        plane = labels[index].ravel()
        inside = np.flatnonzero(plane)
        if not len(inside):
            continue
        owner = plane[inside]
        low, stop = int(owner.min()), int(owner.max()) + 1
        owner = owner - low
        area[low:stop] += np.bincount(owner)
        for row, probability in zip(total, classes.values(), strict=True):
            row[low:stop] += np.bincount(owner, probability[index].ravel()[inside])
    ids = np.flatnonzero(area)
    return ObjectClasses(tuple(classes), ids, (total[:, ids] / (255 * area[ids])).T)
