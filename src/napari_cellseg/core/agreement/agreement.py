"""Compare the labels of one image with a reference, plane by plane."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.agreement.error_list import (
    ErrorList,
    PlacedObjects,
    Plane,
    error_list,
    paint_errors,
    placed_rows,
)
from napari_cellseg.core.agreement.intervals import Intervals, over_objects
from napari_cellseg.core.agreement.object_errors import ErrorSettings, find_errors
from napari_cellseg.core.agreement.tally import METRICS, N_PRED, N_TRUE, scores_of, tally
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.overlap import FloatArray, IntArray, overlap_table
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.review.shapes import measure_shapes

LabelArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far the labels of one image agree with a reference.

    Attributes
    ----------
    name
        Of the image.
    shape
        (Y, X), before it T and Z if there are any.
    counts
        What each place adds to the scores, see `tally.tally`; planes one after the other.
    errors
        Wrong objects, worst first.
    error_map
        uint8 of `shape`: codes of `ErrorKind`, 0 where nothing is wrong; None if it was dropped.
    seed
        Of the random numbers of `intervals`.
    """

    name: str
    shape: tuple[int, ...]
    counts: FloatArray
    errors: ErrorList
    error_map: npt.NDArray[np.uint8] | None
    seed: int = 0

    @cached_property
    def sums(self) -> FloatArray:
        """Sums of `counts` over all places."""
        return np.asarray(self.counts.sum(0))

    @cached_property
    def scores(self) -> dict[str, float]:
        """Every score by name, see `tally.METRICS`: ``scores["ap50"]``."""
        return dict(zip(METRICS, scores_of(self.sums).tolist(), strict=True))

    @cached_property
    def intervals(self) -> Intervals:
        """The same with bootstrap intervals over the objects, see `intervals.over_objects`."""
        return over_objects(self.counts, seed=self.seed)

    @property
    def n_reference(self) -> int:
        """Objects of the reference, in a stack added over its planes."""
        return int(self.sums[N_TRUE])

    @property
    def n_labels(self) -> int:
        """Objects of the segmentation, in a stack added over its planes."""
        return int(self.sums[N_PRED])

    def as_row(self) -> dict[str, Any]:
        """Return one flat row of a table: name, counts of objects and errors, scores."""
        errors = {f"n_{kind.name.lower()}": n for kind, n in self.errors.counts().items()}
        objects = {"n_reference": self.n_reference, "n_labels": self.n_labels}
        return {"name": self.name, **objects, **errors, **self.scores}


def compare_planes(
    labels: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    settings: ErrorSettings | None = None,
    name: str = "labels",
    seed: int = 0,
) -> Generator[Progress, None, Agreement]:
    """Compare two label images of one picture or stack.

    Stacks are compared slice by slice and what is counted is added up: an object of many slices
    counts once in each.

    Parameters
    ----------
    labels, reference
        Integers (T?, Z?, Y, X), 0 is background. Leading dimensions of length 1 may be missing in
        one of them.
    settings
        What counts as an error.
    name
        Of the image, for the messages and the report.
    seed
        Of the bootstrap.

    Yields
    ------
    Progress
        One before every plane.

    Raises
    ------
    DataError
        If the shapes differ, there is no pixel, or the numbers are no object numbers.
    """
    labels, reference = same_shape(labels, reference, name)
    lead = labels.shape[:-2]
    error_map = np.zeros(labels.shape, np.uint8)
    rows: list[tuple[Any, ...]] = []
    counts, areas = [], []
    for done, plane in enumerate(np.ndindex(lead)):
        yield Progress("Comparing", done, int(np.prod(lead)))
        one = _compare_plane(labels[plane], reference[plane], plane, settings)
        counts.append(one.counts)
        areas.append(one.areas)
        rows += one.rows
        error_map[plane] = one.painted
    typical = _typical([a for a, _ in areas]) or _typical([b for _, b in areas]) or 1.0
    errors = error_list(rows, typical)
    return Agreement(name, labels.shape, np.concatenate(counts), errors, error_map, seed)


def same_shape(
    labels: npt.ArrayLike, reference: npt.ArrayLike, name: str
) -> tuple[LabelArray, LabelArray]:
    """Return both as arrays of one shape.

    Raises
    ------
    DataError
        If the shapes differ by more than leading dimensions of length 1, or there is no pixel.
    """
    arrays = [np.asarray(one) for one in (labels, reference)]
    a, b = (one.view(np.uint8) if one.dtype == bool else one for one in arrays)
    least = max(2, min(a.ndim, b.ndim))
    while a.ndim > least and a.shape[0] == 1:
        a = a[0]
    while b.ndim > least and b.shape[0] == 1:
        b = b[0]
    if a.shape != b.shape:
        raise DataError(
            f"The labels of '{name}' have the shape {a.shape} and their reference has {b.shape}: "
            "choose labels and reference of the same image, at the same scale."
        )
    if a.ndim < 2 or not a.size:
        raise DataError(
            f"The labels of '{name}' have the shape {a.shape}: choose a label image with rows and "
            "columns of pixels."
        )
    return a, b


@dataclass(frozen=True, eq=False)
class _ComparedPlane:
    counts: FloatArray
    areas: tuple[IntArray, IntArray]
    rows: list[tuple[Any, ...]]
    painted: npt.NDArray[np.uint8]


def _compare_plane(
    labels: LabelArray, reference: LabelArray, plane: Plane, settings: ErrorSettings | None
) -> _ComparedPlane:
    table = overlap_table(reference, labels)
    found = find_errors(table, settings)
    true, pred = measure_shapes(reference), measure_shapes(labels)
    rows = placed_rows(
        found, PlacedObjects.of(true, table.true_ids), PlacedObjects.of(pred, table.pred_ids), plane
    )
    painted = paint_errors(found, table, true, pred)
    return _ComparedPlane(tally(table), (table.true_area, table.pred_area), rows, painted)


def _typical(areas: list[IntArray]) -> float:
    every = np.concatenate(areas)
    return float(np.median(every)) if len(every) else 0.0
