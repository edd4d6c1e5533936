"""Writes a review queue into columns of a features table, and reads it back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError
from napari_cellseg.session.corrections.queue import ReviewQueue
from napari_cellseg.session.corrections.review import Entry, Review

INDEX = "index"
"""napari's name for the column of label numbers."""

COLUMNS = ("review", "risk", "risk_reason", "area_px", "review_seconds")


def to_features(queue: ReviewQueue) -> dict[str, npt.NDArray[Any]]:
    """Return a row an object, ids ascending; deleted objects have rows too, to be counted."""
    queue.touch()
    ids = sorted(queue.entries)
    rows = [queue.entries[label] for label in ids]
    return {
        INDEX: np.array(ids, np.int64),
        "review": np.array([row.state.value for row in rows], dtype=object),
        "risk": np.array([row.risk for row in rows], np.float64),
        "risk_reason": np.array([row.reason for row in rows], dtype=object),
        "area_px": np.array([row.area for row in rows], np.float64),
        "review_seconds": np.array([row.seconds for row in rows], np.float64),
    }


def from_features(features: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> ReviewQueue:
    """Return the queue of a features table; missing columns and unknown words count as open.

    Parameters
    ----------
    features
        Columns by name, among them ``"index"``, the label numbers. A data frame will do, and so
        will text, as a table that was saved as CSV has it.

    Raises
    ------
    DataError
        If the column ``"index"`` is missing or holds anything but whole numbers, 0 or more.
    """
    if INDEX not in features:
        raise DataError(
            "The table of objects has no column 'index' with the label numbers: load the table "
            "that was saved with these labels."
        )
    ids = [_whole(value) for value in features[INDEX]]
    columns = {
        name: list(features[name]) if name in features else [None] * len(ids) for name in COLUMNS
    }
    entries: dict[int, Entry] = {}
    for k, label in enumerate(ids):
        if label == 0:  # napari may keep a row for the background
            continue
        area = _number(columns["area_px"][k])
        entries[label] = Entry(
            risk=_number(columns["risk"][k]) or 0.0,
            reason=_text(columns["risk_reason"][k]),
            area=math.nan if area is None else area,
            state=_state(columns["review"][k]),
            seconds=_number(columns["review_seconds"][k]) or 0.0,
        )
    return ReviewQueue(entries)


def _whole(value: Any) -> int:
    number = _number(value)
    if number is None or number < 0 or number != int(number):
        raise DataError(
            f"The column 'index' of the table of objects holds {value!r}, which is no label "
            "number: load the table that was saved with these labels."
        )
    return int(number)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _state(value: Any) -> Review:
    try:
        return Review(value)
    except ValueError:
        return Review.OPEN
