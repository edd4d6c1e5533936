"""Where the objects of the planes that are worked on lie, and which there are, kept up to date."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np

from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.session.corrections.delta import Delta, Index, Int32Array
from napari_cellseg.session.corrections.sizes import Sizes

_KEPT = 4  # planes; another one takes a pass over its pixels


class PlaneIndexes:
    """The indexes of the planes that were looked at last."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[Index, ObjectIndex] = OrderedDict()
        self._sizes: Sizes | None = None

    @property
    def known(self) -> tuple[Index, ...]:
        """The planes whose indexes are there."""
        return tuple(self._indexes)

    def of(self, labels: Int32Array, index: Index) -> ObjectIndex:
        """Return the index of one plane of `labels`."""
        found = self._indexes.pop(index, None)
        if found is None:
            found = ObjectIndex(labels[index])
        self._indexes[index] = found
        while len(self._indexes) > _KEPT:
            self._indexes.popitem(last=False)
        return found

    def there(self, labels: Int32Array, ids: Iterable[int]) -> set[int]:
        """Return those of the objects `ids` that `labels` hold, on whatever plane."""
        if labels.ndim == 2:
            only = self.of(labels, ())
            return {label for label in ids if label in only}
        sizes = self._sizes_of(labels)
        return {label for label in ids if label in sizes}

    def size_of(self, labels: Int32Array, label: int) -> int:
        """Return how many pixels of `labels` an object has, on all planes together."""
        return self._sizes_of(labels).of(label)

    def _sizes_of(self, labels: Int32Array) -> Sizes:
        if self._sizes is None:
            self._sizes = Sizes(labels)
        return self._sizes

    def follow(self, labels: Int32Array, pixels: Delta) -> None:
        """Note that `labels` changed by `pixels`."""
        if self._sizes is not None:
            self._sizes.follow(pixels)
        if not self._indexes:
            return
        ids = np.array(pixels.ids)
        for index, box in pixels.planes(labels.shape):
            objects = self._indexes.get(index)
            if objects is not None:
                objects.update(labels[index], box, ids)

    def replaced(self, pixels: Delta, objects: Mapping[Index, ObjectIndex] | None = None) -> None:
        """Note that other labels, which differ by `pixels`, are in place of the present ones.

        `objects` are indexes of some of their planes.
        """
        self._indexes = OrderedDict(objects or {})
        if self._sizes is not None:
            self._sizes.follow(pixels)
