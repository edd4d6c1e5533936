"""The errors of an image, worst first, each with its objects, place and severity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cellseg.core.agreement.object_errors import ErrorKind, FoundErrors, Ids
from napari_cellseg.core.overlap import FloatArray, IntArray, OverlapTable
from napari_cellseg.core.review.shapes import Shapes

Plane = tuple[int, ...]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ObjectError:
    """One error.

    Attributes
    ----------
    kind
        What is wrong.
    plane
        Index along T and Z; ``()`` in a single plane.
    reference_ids, label_ids
        Numbers of the objects concerned in the reference and in the segmentation: of a missed
        object ``(id,), ()``, of an extra one ``(), (id,)``, of a merged one its parts and
        ``(id,)``, of a split one ``(id,)`` and its parts, of a poor outline one each.
    y, x
        Centre of mass of the missed, extra, merged or split object, of a poor outline that of the
        reference object, in pixels.
    box
        First row and column, last row and column + 1; of both objects of a poor outline.
    pixels
        Pixels that are wrong, see `object_errors.find_errors`.
    iou
        Of a poor outline that of the two objects, else the highest that the missed, extra, merged
        or split object reaches with any.
    severity
        pixels / (pixels + typical area), from 0 to 1; 0.5 for as many wrong pixels as a typical
        object of the image has (median area of the reference, or of the labels if that is empty).
    """

    kind: ErrorKind
    plane: Plane
    reference_ids: Ids
    label_ids: Ids
    y: float
    x: float
    box: Box
    pixels: int
    iou: float
    severity: float

    def as_row(self) -> dict[str, Any]:
        """Return one flat row of a table; several ids stand in one cell, with spaces between."""
        y0, x0, y1, x1 = self.box
        return {
            "error": self.kind.title,
            "plane": " ".join(map(str, self.plane)),
            "reference_ids": " ".join(map(str, self.reference_ids)),
            "label_ids": " ".join(map(str, self.label_ids)),
            "y_px": round(self.y, 2),
            "x_px": round(self.x, 2),
            "box_y0": y0,
            "box_x0": x0,
            "box_y1": y1,
            "box_x1": x1,
            "wrong_px": self.pixels,
            "iou": round(self.iou, 4),
            "severity": round(self.severity, 4),
        }


@dataclass(frozen=True, eq=False)
class ErrorList(Sequence[ObjectError]):
    """Errors, worst first; equally bad ones by plane, kind and first appearance.

    Attributes
    ----------
    kind
        Codes of `ErrorKind`, uint8 (N,).
    severity
        See `ObjectError.severity`, (N,).
    """

    kind: npt.NDArray[np.uint8]
    severity: FloatArray
    _rows: list[tuple[Any, ...]]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return ErrorList(self.kind[at], self.severity[at], self._rows[at])
        return ObjectError(*self._rows[at])

    def __iter__(self) -> Iterator[ObjectError]:
        return (self[at] for at in range(len(self)))

    def of(self, kind: ErrorKind) -> ErrorList:
        """Return the errors of one kind."""
        at = np.flatnonzero(self.kind == kind)
        return ErrorList(self.kind[at], self.severity[at], [self._rows[k] for k in at.tolist()])

    def counts(self) -> dict[ErrorKind, int]:
        """Return how many errors of each kind there are."""
        found = np.bincount(self.kind, minlength=max(ErrorKind) + 1)
        return {kind: int(found[kind]) for kind in ErrorKind}


def error_list(rows: list[tuple[Any, ...]], typical_area: float) -> ErrorList:
    """Sort the rows of `placed_rows` of all planes of an image by severity."""
    pixels = np.array([row[7] for row in rows], np.float64)
    severity = pixels / (pixels + max(typical_area, 1.0))
    order = np.argsort(-severity, kind="stable")
    kind = np.array([row[0] for row in rows], np.uint8)[order]
    sorted_rows = [(*rows[k], float(severity[k])) for k in order.tolist()]
    return ErrorList(kind, severity[order], sorted_rows)


@dataclass(frozen=True, eq=False)
class PlacedObjects:
    """Where the objects of an overlap table are, in its order.

    Attributes
    ----------
    ids, y, x
        Numbers and centres of mass, (N,).
    boxes
        First row and column, last row and column + 1, (N, 4).
    """

    ids: IntArray
    y: FloatArray
    x: FloatArray
    boxes: IntArray

    @classmethod
    def of(cls, shapes: Shapes, ids: npt.NDArray[Any]) -> PlacedObjects:
        """Take the objects `ids` of a plane, every one of them once."""
        slices = ndimage.find_objects(shapes.place, len(shapes.ids))
        boxes = np.array([(y.start, x.start, y.stop, x.stop) for y, x in slices], np.int64)
        at = np.searchsorted(shapes.ids, ids.astype(np.int64))
        return cls(shapes.ids[at], shapes.y[at], shapes.x[at], boxes.reshape(-1, 4)[at])


def placed_rows(
    found: FoundErrors, reference: PlacedObjects, labels: PlacedObjects, plane: Plane
) -> list[tuple[Any, ...]]:
    """Return the errors of a plane as the fields of `ObjectError` but for the severity."""
    rows = []
    for kind, true, pred, pixels, iou in found.rows:
        on_labels = kind in (ErrorKind.EXTRA, ErrorKind.MERGED)
        side, at = (labels, pred[0]) if on_labels else (reference, true[0])
        box = tuple(side.boxes[at].tolist())
        if kind == ErrorKind.POOR_OUTLINE:
            other = labels.boxes[pred[0]].tolist()
            box = (*map(min, box[:2], other[:2]), *map(max, box[2:], other[2:]))
        ids = tuple(tuple(s.ids[list(k)].tolist()) for s, k in ((reference, true), (labels, pred)))
        rows.append((kind, plane, *ids, float(side.y[at]), float(side.x[at]), box, pixels, iou))
    return rows


def paint_errors(
    found: FoundErrors, table: OverlapTable, reference: Shapes, labels: Shapes
) -> npt.NDArray[np.uint8]:
    """Paint the errors of a plane, uint8 (Y, X): codes of `ErrorKind`, 0 where nothing is wrong.

    Missed, extra, merged and split objects are painted whole, of a poor outline the pixels that
    are in one of the two objects only. Where several errors meet, the first counts of: merged,
    split, poor outline, missed, extra.
    """
    true_code = _by_place(reference, table.true_ids, found.true_code)[reference.place]
    pred_code = _by_place(labels, table.pred_ids, found.pred_code)[labels.place]
    poor = ErrorKind.POOR_OUTLINE
    both = np.flatnonzero(((true_code == poor) & (pred_code == poor)).reshape(-1))
    true_pair = _by_place(reference, table.true_ids, found.true_pair)
    pred_pair = _by_place(labels, table.pred_ids, found.pred_pair)
    shared = both[
        true_pair[reference.place.reshape(-1)[both]] == pred_pair[labels.place.reshape(-1)[both]]
    ]
    painted: npt.NDArray[np.uint8] = _FIRST[true_code, pred_code]
    painted.reshape(-1)[shared] = 0
    return painted


def _by_place(shapes: Shapes, ids: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    by_place = np.zeros(len(ids) + 1, values.dtype)
    by_place[np.searchsorted(shapes.ids, ids.astype(np.int64)) + 1] = values
    return by_place


def _first() -> npt.NDArray[np.uint8]:
    """Return which of two codes is painted, (codes of the reference, codes of the labels)."""
    rising = (0, ErrorKind.EXTRA, ErrorKind.MISSED, ErrorKind.POOR_OUTLINE, ErrorKind.SPLIT)
    rank = np.zeros(len(ErrorKind) + 1, np.int64)
    rank[[*rising, ErrorKind.MERGED]] = np.arange(len(rank))
    a, b = np.indices((len(rank), len(rank)))
    return np.where(rank[a] > rank[b], a, b).astype(np.uint8)


_FIRST = _first()
