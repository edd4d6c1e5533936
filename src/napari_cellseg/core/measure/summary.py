"""A row an image, a group or all: number of objects, mean, spread and median of each column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from napari_cellseg.core.measure.objects import FloatArray
from napari_cellseg.core.measure.table import Column, Columns, MeasuredImage, MeasureTable

By = Literal["image", "group", "all"]

_PLACES = ("centroid_", "bbox_", "orientation_", "z_position_")
"""Of columns that say where an object lies, or which way, a mean says nothing."""


def summarize(table: MeasureTable, by: By = "image") -> Columns:
    """Summarize the objects of each image, or of each group of images.

    Parameters
    ----------
    table
        With all its rows, as `measure` and `stacked` return it.
    by
        What a row is to be; images without objects count too.

    Returns
    -------
    Columns ``image`` and ``group``, ``group``, or none, then ``images``, ``objects``, ``covered``
    (share of the pixels that is in objects), ``objects_per_mm2`` (NaN unless every pixel size is
    known), and for each column of numbers ``COLUMN_mean``, ``COLUMN_std`` (of the sample, divided
    by n - 1) and ``COLUMN_median`` of what is known; of yes-or-no the share of yes as mean.
    """
    images = table.images
    names = [_name(image, by) for image in images]
    owner = np.repeat(np.arange(len(images)), [image.objects for image in images])
    kinds = list(dict.fromkeys(names))
    place = np.array([kinds.index(name) for name in names], np.int64)[owner]
    members = [
        [image for image, own in zip(images, names, strict=True) if own == name] for name in kinds
    ]
    columns: Columns = {}
    if by == "image":
        columns["image"] = np.array([name for _, name in kinds], str)
    if by != "all":
        columns["group"] = np.array([group for group, _ in kinds], str)
    columns |= _counts(members)
    for name in table.numeric():
        if not name.startswith(_PLACES):
            columns |= _statistics(name, table[name], place, len(kinds))
    return columns


def _name(image: MeasuredImage, by: By) -> tuple[str, str]:
    return "" if by == "all" else image.group, image.name if by == "image" else ""


def _counts(members: Sequence[Sequence[MeasuredImage]]) -> Columns:
    def total(name: str) -> Column:
        return np.array([sum(getattr(one, name) for one in some) for some in members], np.int64)

    area = np.array([sum(map(_area_mm2, some)) for some in members], np.float64)
    return {
        "images": np.array([len(some) for some in members], np.int64),
        "objects": total("objects"),
        "covered": total("covered") / total("pixels"),
        "objects_per_mm2": total("objects") / area,
    }


def _area_mm2(image: MeasuredImage) -> float:
    if image.pixel_size is None:
        return float("nan")
    return image.pixels * image.pixel_size[0] * image.pixel_size[1] / 1e6


def _statistics(name: str, column: Column, place: Column, number: int) -> Columns:
    mean, deviation, median = (np.full(number, np.nan) for _ in range(3))
    values = column.astype(np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(place[known], kind="stable")]
    edges = np.searchsorted(place[order], np.arange(number + 1))
    for k in range(number):
        some: FloatArray = values[order[edges[k] : edges[k + 1]]]
        if len(some):
            mean[k], median[k] = some.mean(), np.median(some)
        if len(some) > 1:
            deviation[k] = some.std(ddof=1)
    if column.dtype == bool:
        return {f"{name}_mean": mean}
    return {f"{name}_mean": mean, f"{name}_std": deviation, f"{name}_median": median}
