"""On which planes each object lies, as far as it was told, and by a look where that is outdated."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.review.risk import RiskTable
from napari_cellseg.session.corrections.delta import Delta, Index
from napari_cellseg.session.corrections.document import Document


class Places:
    """Planes of the objects of one document.

    Parameters
    ----------
    document
        The labels.
    risks
        Tells the plane of each object that is rated: the one in which it needs a look most.
    """

    def __init__(self, document: Document, risks: RiskTable) -> None:
        self._document = document
        lead = document.labels.shape[:-2]
        planes = np.stack(np.unravel_index(risks.plane, lead), 1).tolist() if lead else []
        ids = risks.ids.tolist()
        where = [tuple(plane) for plane in planes] if lead else [()] * len(ids)
        self._planes: dict[int, Index] = dict(zip(ids, where, strict=True))
        self._all: tuple[int, int, list[Index]] = (-1, 0, [])  # version, object, its planes

    def of(self, label: int | None) -> Index | None:
        """Return a plane that the object lies on; None if there is no such object."""
        document = self._document
        if label is None or not document.there([label]):
            return None
        index = self._planes.get(label)
        if index is None or label not in document.objects(index):
            found = np.argwhere((document.labels == label).any(axis=(-2, -1)))[0]
            index = self._planes[label] = tuple(found.tolist())
        return index

    def all_of(self, label: int) -> list[Index]:
        """Return every plane that the object lies on, in their order; none if it is gone."""
        version, last, planes = self._all
        if (version, last) != (self._document.version, label):
            planes = self._look(label)
            self._all = (self._document.version, label, planes)
        return planes

    def pixels_of(self, label: int) -> Delta:
        """Return the change that takes the object away, on every plane that it lies on."""
        labels = self._document.labels
        size = labels.shape[-2] * labels.shape[-1]
        parts = []
        for index in self.all_of(label):
            first = int(np.ravel_multi_index(index, labels.shape[:-2])) * size if index else 0
            parts.append(first + np.flatnonzero(labels[index] == label))
        where = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return Delta.of(where, label, 0)

    def _look(self, label: int) -> list[Index]:
        """Go from plane to plane as long as the object is there: as a rule it is one thing."""
        labels, start = self._document.labels, self.of(label)
        if not start:
            return [] if start is None else [start]
        waiting, seen, found, pixels = [start], {start}, [], 0
        while waiting:
            index = waiting.pop()
            here = int(np.count_nonzero(labels[index] == label))
            if here:
                pixels += here
                found.append(index)
                beside = _beside(index, labels.shape) - seen
                waiting += beside
                seen |= beside
        if pixels != self._document.size_of(label):  # it lies on others too
            everywhere = np.argwhere((labels == label).any(axis=(-2, -1)))
            found = [tuple(index) for index in everywhere.tolist()]
        return sorted(found)


def _beside(index: Index, shape: tuple[int, ...]) -> set[Index]:
    """Return the planes next to one, before and after, in time and in depth."""
    found = set()
    for axis, at in enumerate(index):
        for other in (at - 1, at + 1):
            if 0 <= other < shape[axis]:
                found.add((*index[:axis], other, *index[axis + 1 :]))
    return found
