"""How likely each object is to need a correction, and why, in words.

Risk = 1 / (1 + exp(-(OFFSET + sum of weight x share))), where the share of each sign goes from 0
at `low` to 1 at `high`: about the chance that the IoU with the true object is under 0.7.

The weights are those of a logistic regression with weights of 0 or more, on results of the included
model for images of DSB2018 and BBBC039 (2,788 objects of 71 images of their training parts): what
tells objects whose IoU with every true one is under 0.5, and under 0.7, from the others, both at
once. On 55 images of the val parts (2,562 objects, 161 of them under 0.5) the area under the ROC
curve is 0.90, and the tenth of the objects with the highest risk holds 63 % of the wrong ones;
without maps 0.81 and 34 %. Being cut by the border tells nothing about errors; it has a little
weight because such objects are often to be left out. What is not known (no contour, no second
run) adds nothing, so that risks compare within one result.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.review.outliers import robust_z
from napari_cellseg.core.review.outlines import ProbabilityMap, measure_outlines
from napari_cellseg.core.review.shapes import FloatArray, IntArray, measure_shapes

Maps = tuple[ProbabilityMap | None, ProbabilityMap | None]


@dataclass(frozen=True)
class Sign:
    """One sign that an object may be wrong.

    Attributes
    ----------
    reason
        In words.
    weight, alone
        Weight where there is a foreground map, and where there are labels only.
    low, high
        Where its share begins and where it is full.
    """

    reason: str
    weight: float
    alone: float
    low: float
    high: float


SIGNS: Mapping[str, Sign] = {
    "unsure_edge": Sign("its edge is uncertain", 2.0, 0.0, 0.25, 0.7),
    "unsure_inside": Sign("it may be background", 4.5, 0.0, 0.0, 0.15),
    "open_contact": Sign("nothing parts it from a neighbour", 3.5, 0.0, 0.0, 0.1),
    "contour_inside": Sign("a contour runs through it", 2.5, 0.0, 0.0, 0.4),
    "small": Sign("smaller than most", 1.5, 2.4, 0.0, 6.0),
    "large": Sign("larger than most", 3.0, 2.0, 1.0, 4.0),
    "irregular": Sign("its shape is irregular", 0.7, 2.5, 0.01, 0.15),
    "elongated": Sign("longer and thinner than most", 0.4, 0.2, 1.0, 5.0),
    "border": Sign("cut by the image border", 0.2, 0.2, 0.0, 1.0),
    "changed": Sign("it changes when the image is flipped", 1.2, 0.0, 0.01, 0.15),
}
"""What is looked at. `small`, `large`, `elongated`: robust z of log area and log elongation."""

OFFSET, OFFSET_ALONE = -4.0, -2.8

_LEAST_REASON = 0.2  # by less than this no sign stands out
_SECOND_REASON = 0.5  # a second sign is named if it weighs this much of the first
_LEAST_LOG_AREA = 0.15
_LEAST_LOG_ELONGATION = 0.1


@dataclass(frozen=True, eq=False)
class RiskTable:
    """Risks of all objects, one row each, ids ascending; N objects.

    Attributes
    ----------
    ids
        Numbers of the objects, int64 (N,).
    risk
        0..1, the higher the sooner a person should look, (N,).
    area
        Pixels, (N,).
    plane
        Flat index of the plane the object lies in; of several planes that where its risk is
        highest, int64 (N,).
    y, x
        Centre of mass in that plane in pixels, (N,).
    parts
        For each of `SIGNS` its weight times its share, 0 or more, (N,).
    """

    ids: IntArray
    risk: FloatArray
    area: FloatArray
    plane: IntArray
    y: FloatArray
    x: FloatArray
    parts: Mapping[str, FloatArray]

    def reasons(self) -> list[str]:
        """Return in a few words what sets each object apart from most; "" where nothing does."""
        words = np.array([sign.reason for sign in SIGNS.values()])
        parts = np.stack([self.parts[name] for name in SIGNS])
        if not parts.size:
            return []
        # What all objects of the image have in common is no reason to look at one of them.
        parts -= np.median(parts, axis=1, keepdims=True)
        best = np.argsort(-parts, axis=0, kind="stable")[:2]
        first, second = np.take_along_axis(parts, best, 0)
        texts: list[str] = np.where(first >= _LEAST_REASON, words[best[0]], "").tolist()
        more = second >= np.maximum(_SECOND_REASON * first, _LEAST_REASON)
        for k in np.flatnonzero(more):
            texts[k] += f"; {words[best[1, k]]}"
        return texts


def object_risks(
    labels: npt.NDArray[np.integer],
    foreground: ProbabilityMap | None = None,
    contour: ProbabilityMap | None = None,
    flipped: Maps = (None, None),
) -> RiskTable:
    """Rate all objects at once; see `rate_objects`."""
    return finish(rate_objects(labels, foreground, contour, flipped))


def rate_objects(
    labels: npt.NDArray[np.integer],
    foreground: ProbabilityMap | None = None,
    contour: ProbabilityMap | None = None,
    flipped: Maps = (None, None),
) -> Generator[Progress, None, RiskTable]:
    """Rate all objects of an image, plane by plane; outliers are such among all planes' objects.

    Parameters
    ----------
    labels
        Object numbers (..., Y, X), 0 is background.
    foreground, contour
        The kept probability maps, same shape, uint8 for 0..255 or floating for 0..1.
    flipped
        Foreground and contour of a run on the flipped image, turned back.

    Raises
    ------
    DataError
        If a map has another shape than the labels, or the labels are no integers.
    """
    for given in (foreground, contour, *flipped):
        if given is not None and given.shape != labels.shape:
            raise DataError(
                f"Labels {labels.shape} and probability map {given.shape} differ in shape: use the "
                "maps that these labels were made from."
            )
    planes = list(np.ndindex(labels.shape[:-2]))
    rows = []
    for number, index in enumerate(planes):
        yield Progress("Rating objects", number, len(planes))
        again = (_part(flipped[0], index), _part(flipped[1], index))
        rows.append(_measure(labels[index], _part(foreground, index), _part(contour, index), again))
    plane = np.repeat(np.arange(len(rows)), [len(row["ids"]) for row in rows])
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return _rate(columns, plane, foreground is None)


def _part(probability: ProbabilityMap | None, index: tuple[int, ...]) -> ProbabilityMap | None:
    return None if probability is None else probability[index]


def _measure(
    labels: npt.NDArray[np.integer],
    foreground: ProbabilityMap | None,
    contour: ProbabilityMap | None,
    flipped: Maps,
) -> dict[str, FloatArray]:
    shapes = measure_shapes(labels)
    outlines = measure_outlines(shapes, foreground, contour, flipped)
    return {
        "ids": shapes.ids.astype(np.float64),
        "area": shapes.area,
        "y": shapes.y,
        "x": shapes.x,
        "elongation": shapes.elongation,
        "irregular": shapes.spread - 1,
        "border": (shapes.border > 0).astype(np.float64),
        "unsure_edge": outlines.unsure_edge,
        "unsure_inside": outlines.unsure_inside,
        "open_contact": outlines.open_contact,
        "contour_inside": outlines.contour_inside,
        "changed": outlines.changed,
    }


def _rate(columns: dict[str, FloatArray], plane: IntArray, alone: bool) -> RiskTable:
    size = robust_z(np.log(columns["area"]), _LEAST_LOG_AREA)
    length = robust_z(np.log(columns["elongation"]), _LEAST_LOG_ELONGATION)
    signs = {**columns, "small": -size, "large": size, "elongated": length}
    parts = {
        name: np.clip((signs[name] - sign.low) / (sign.high - sign.low), 0, 1)
        * (sign.alone if alone else sign.weight)
        for name, sign in SIGNS.items()
    }
    total = (OFFSET_ALONE if alone else OFFSET) + sum(parts.values())
    risk = np.asarray(1 / (1 + np.exp(-total)))
    # An object that lies in several planes is rated by the worst of them.
    order = np.lexsort((-risk, columns["ids"]))
    ids = columns["ids"][order]
    order = order[np.diff(ids, prepend=0) != 0]
    return RiskTable(
        columns["ids"][order].astype(np.int64),
        risk[order],
        columns["area"][order],
        plane[order],
        columns["y"][order],
        columns["x"][order],
        {name: part[order] for name, part in parts.items()},
    )
