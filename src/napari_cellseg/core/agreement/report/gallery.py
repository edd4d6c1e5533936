"""Pictures of the worst errors of each kind and of the worst images, kept while images go by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_cellseg.core.agreement.agreement import Agreement
from napari_cellseg.core.agreement.error_list import ObjectError, Plane
from napari_cellseg.core.agreement.object_errors import ErrorKind
from napari_cellseg.core.agreement.report.pictures import Views, draw_error, draw_plane, to_png

ERRORS_A_KIND = 8
"""How many errors of each kind are pictured."""
OVERVIEWS = 4
"""How many images are pictured as a whole."""


@dataclass(frozen=True)
class ErrorPicture:
    """The picture of one error: name of its image, the error, PNG."""

    name: str
    error: ObjectError
    png: bytes


@dataclass(frozen=True)
class PlanePicture:
    """The picture of one plane: name of its image, plane, F1 of the image at IoU 0.5, PNG."""

    name: str
    plane: Plane
    f1: float
    png: bytes


@dataclass(eq=False)
class Gallery:
    """The worst of all that was offered.

    Attributes
    ----------
    errors
        Pictures of each kind, worst first, at most `ERRORS_A_KIND`.
    planes
        Of the images of lowest F1 the plane with the most wrong pixels, at most `OVERVIEWS`.
    """

    errors: dict[ErrorKind, list[ErrorPicture]] = field(
        default_factory=lambda: {kind: [] for kind in ErrorKind}
    )
    planes: list[PlanePicture] = field(default_factory=list)

    def offer(self, agreement: Agreement, views: Views) -> None:
        """Take pictures of what is worse than what is there; nothing else is drawn."""
        for kind, kept in self.errors.items():
            for error in agreement.errors.of(kind)[:ERRORS_A_KIND]:
                if len(kept) < ERRORS_A_KIND or error.severity > kept[-1].error.severity:
                    picture = to_png(draw_error(error, views))
                    kept.append(ErrorPicture(agreement.name, error, picture))
                    kept.sort(key=lambda one: -one.error.severity)
                    del kept[ERRORS_A_KIND:]
        f1 = agreement.scores["f1_50"]
        if len(self.planes) < OVERVIEWS or f1 < self.planes[-1].f1:
            self._add_plane(agreement, views, f1)

    def _add_plane(self, agreement: Agreement, views: Views, f1: float) -> None:
        if agreement.error_map is None:
            raise ValueError("the error map was dropped before the picture was taken")
        wrong = np.count_nonzero(agreement.error_map, axis=(-2, -1))
        plane = tuple(int(k) for k in np.unravel_index(int(np.argmax(wrong)), np.shape(wrong)))
        picture = to_png(draw_plane(views, agreement.error_map, plane))
        self.planes.append(PlanePicture(agreement.name, plane, f1, picture))
        self.planes.sort(key=lambda one: one.f1)
        del self.planes[OVERVIEWS:]
