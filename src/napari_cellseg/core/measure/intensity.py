"""Brightness of objects in one channel: what follows from sums over runs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.measure.objects import FloatArray, Objects
from napari_cellseg.core.measure.table import Columns

_BAND = 2**20  # pixels; what is computed with in between stays in the cache


def as_numbers(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pixels of a type in which sums over runs are exact or at least do not overflow."""
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8) if pixels.flags.c_contiguous else pixels.astype(np.uint8)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8:
        pixels = pixels.astype(np.float64)
    return np.ascontiguousarray(pixels)


def intensity_columns(
    objects: Objects, pixels: npt.NDArray[Any], channel: str
) -> tuple[Columns, int]:
    """Return mean, min, max, sum and standard deviation (of the population) of a channel.

    Parameters
    ----------
    pixels
        (Y, X), see `as_numbers`; those that are NaN or infinite are left out.
    channel
        Name for the columns.

    Returns
    -------
    Columns, and how many pixels of objects were left out.
    """
    shapes = objects.shapes
    count, valid = shapes.area, None
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        valid = np.isfinite(pixels)
        count = _sums(objects, valid.astype(np.uint8)).astype(np.float64)
    total = _sums(objects, pixels if valid is None else np.where(valid, pixels, 0))
    known = np.where(count > 0, count, np.nan)
    mean = total / known
    low = _extremes(objects, np.minimum, pixels, valid, np.inf)
    high = _extremes(objects, np.maximum, pixels, valid, -np.inf)
    if valid is not None:
        low, high = (np.where(count > 0, one, np.nan) for one in (low, high))
    columns: Columns = {
        f"mean_{channel}": mean,
        f"min_{channel}": low,
        f"max_{channel}": high,
        f"sum_{channel}": total,
        f"std_{channel}": np.sqrt(_squares(objects, pixels, valid, mean) / known),
    }
    return columns, int(shapes.area.sum() - count.sum())


def _sums(objects: Objects, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Add up by object; whole numbers stay such, exactly."""
    shapes = objects.shapes
    if not len(shapes.ids):
        return np.zeros(0)
    exact = np.int64 if pixels.dtype.kind in "iu" else np.float64
    by_run = np.add.reduceat(pixels.reshape(-1), shapes.run_start, dtype=exact)
    if exact is np.float64:
        return np.bincount(shapes.run_place, by_run, len(shapes.ids) + 1)[1:]
    # The weights of bincount are floats, in which sums of whole numbers are exact up to 2**53.
    total = np.zeros(len(shapes.ids) + 1, np.int64)
    np.add.at(total, shapes.run_place, by_run)
    return total[1:]


def _extremes(
    objects: Objects,
    function: np.ufunc,
    pixels: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_] | None,
    nothing: float,
) -> npt.NDArray[Any]:
    shapes = objects.shapes
    if not len(shapes.ids):
        return np.zeros(0)
    if valid is not None:
        pixels = np.where(valid, pixels, nothing)
    by_run = function.reduceat(pixels.reshape(-1), shapes.run_start)
    whole = pixels.dtype.kind in "iu"
    if whole:
        limits = np.iinfo(pixels.dtype)
        nothing = limits.max if function is np.minimum else limits.min
    found = np.full(len(shapes.ids) + 1, nothing, pixels.dtype)
    function.at(found, shapes.run_place, by_run)
    return found[1:].astype(np.int64 if whole else np.float64)


def _squares(
    objects: Objects,
    pixels: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_] | None,
    mean: FloatArray,
) -> FloatArray:
    """Add up the squared differences from the object's mean, by object."""
    shapes = objects.shapes
    height, width = objects.plane
    means = np.append(0, mean)
    by_run = np.zeros(len(shapes.run_start))
    step = max(_BAND // width, 1)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        away = pixels[rows] - means[shapes.place[rows]]
        with np.errstate(over="ignore", invalid="ignore"):
            away *= away
        if valid is not None:
            away[~valid[rows]] = 0
        a, b = np.searchsorted(shapes.run_start, (top * width, (top + step) * width))
        by_run[a:b] = np.add.reduceat(away.reshape(-1), shapes.run_start[a:b] - top * width)
    return np.bincount(shapes.run_place, by_run, len(shapes.ids) + 1)[1:].astype(np.float64)
