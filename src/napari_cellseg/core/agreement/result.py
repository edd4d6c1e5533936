"""How far the labels of several images agree with their references, as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from napari_cellseg.core.agreement.agreement import Agreement
from napari_cellseg.core.agreement.intervals import (
    LEVEL,
    Intervals,
    over_images,
    over_images_pooled,
)
from napari_cellseg.core.agreement.object_errors import ErrorKind, ErrorSettings

FEW_IMAGES = 8
"""Below this number of images an interval over images is rough."""

SHOWN = {
    "ap50": "AP at IoU 0.5",
    "ap75": "AP at IoU 0.75",
    "map": "AP, mean over IoU 0.5 to 0.95",
    "f1_50": "F1 at IoU 0.5",
    "pq": "PQ",
    "aji": "AJI",
    "dice": "Dice",
    "iou": "IoU of pixels",
}
"""Scores that tables for people show, and what they are called there."""


@dataclass(frozen=True, eq=False)
class Agreements:
    """What is known of several images.

    Attributes
    ----------
    images
        One an image that could be compared.
    skipped
        What was left out, by name, and why.
    settings
        What counts as an error.
    seed
        Of the random numbers of the intervals.
    """

    images: tuple[Agreement, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    settings: ErrorSettings = field(default_factory=ErrorSettings)
    seed: int = 0

    @cached_property
    def summary(self) -> Intervals:
        """Scores with intervals: of one image over its objects, of several means over images."""
        if len(self.images) == 1:
            return self.images[0].intervals
        return over_images(self._sums(), seed=self.seed)

    @cached_property
    def pooled(self) -> Intervals:
        """Scores of the objects of all images together, with the same kind of intervals."""
        if len(self.images) == 1:
            return self.images[0].intervals
        return over_images_pooled(self._sums(), seed=self.seed)

    def _sums(self) -> Any:
        return np.stack([one.sums for one in self.images])

    def counts(self) -> dict[ErrorKind, int]:
        """Return how many errors of each kind there are in all images."""
        each = [one.errors.counts() for one in self.images]
        return {kind: sum(counts[kind] for counts in each) for kind in ErrorKind}

    @property
    def n_reference(self) -> int:
        """Objects of all references."""
        return sum(one.n_reference for one in self.images)

    @property
    def n_labels(self) -> int:
        """Objects of all segmentations."""
        return sum(one.n_labels for one in self.images)

    def notes(self) -> list[str]:
        """Return sentences on what the numbers mean and what was left out."""
        n, level = len(self.images), f"{LEVEL:.0%}"
        if n == 1:
            notes = [
                f"Intervals ({level}) are bootstrapped over the objects of this one image: they "
                "say nothing about other images."
            ]
        else:
            notes = [f"Means over {n} images, with {level} intervals bootstrapped over the images."]
        if 1 < n < FEW_IMAGES:
            notes.append(f"With fewer than {FEW_IMAGES} images the intervals are rough.")
        return notes + [
            f"{name}: {reason} It was left out." for name, reason in self.skipped.items()
        ]

    def text(self) -> str:
        """Return scores, errors and notes for a terminal."""
        width = max(map(len, SHOWN.values()))
        lines = [f"{self.n_labels} objects against {self.n_reference} of the reference", ""]
        lines += [f"{title:{width}}  {self.summary[key]}" for key, title in SHOWN.items()]
        lines += ["", *(f"{kind.title:{width}}  {n}" for kind, n in self.counts().items())]
        return "\n".join([*lines, "", *self.notes()])

    def to_csv(self) -> str:
        """Return one row an image, with every score."""
        return _csv(one.as_row() for one in self.images)

    def errors_csv(self) -> str:
        """Return one row an error, the worst of each image first; only a header without any."""
        columns = ["name", "error", *_ERROR_COLUMNS]
        return _csv(
            ({"name": one.name, **error.as_row()} for one in self.images for error in one.errors),
            columns,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return scores with limits, errors and images as JSON can hold them."""
        return {
            "images": [one.as_row() for one in self.images],
            "summary": _plain(self.summary),
            "pooled": _plain(self.pooled),
            "errors": {kind.name.lower(): n for kind, n in self.counts().items()},
            "settings": self.settings.model_dump(),
            "seed": self.seed,
            "skipped": dict(self.skipped),
        }


_ERROR_COLUMNS = (
    *("plane", "reference_ids", "label_ids", "y_px", "x_px"),
    *("box_y0", "box_x0", "box_y1", "box_x1", "wrong_px", "iou", "severity"),
)


def _plain(intervals: Intervals) -> dict[str, dict[str, float | None]]:
    return {
        name: {"value": one.value, "low": one.low, "high": one.high}
        for name, one in intervals.items()
    }


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
