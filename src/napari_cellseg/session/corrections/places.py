"""On which plane each object lies, as far as it was told, and by a look where that is outdated."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.review.risk import RiskTable
from napari_cellseg.session.corrections.delta import Index
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
