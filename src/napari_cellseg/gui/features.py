"""Columns of a layer's features table, side by side with those of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels as LabelsLayer

Column = npt.NDArray[Any]
Columns = dict[str, Column]

INDEX = "index"
"""Name of napari's column of object numbers."""


def columns_of(layer: LabelsLayer) -> Columns:
    """Return the table by columns, always with one of object numbers."""
    table = {str(name): np.asarray(layer.features[name]) for name in layer.features}
    rows = len(next(iter(table.values()), ()))
    # Without numbers, napari takes the rows for the objects 0, 1, 2, ...
    return table if INDEX in table else {INDEX: np.arange(rows), **table}


def put_columns(layer: LabelsLayer, columns: Mapping[str, Column]) -> bool:
    """Put columns into the table; rows and columns of others stay as they are.

    Parameters
    ----------
    columns
        Columns by name, among them ``"index"``, unique object numbers. Objects that are not in it
        get the value that stands for nothing: NaN, False or an empty text.

    Returns
    -------
    False, with the table as it was, if its own numbers are none or not unique.
    """
    table = columns_of(layer)
    old = table[INDEX]
    if old.dtype.kind not in "iu" or np.unique(old).size != old.size:
        return False
    new = np.asarray(columns[INDEX], np.int64)
    ids = np.concatenate([old.astype(np.int64), np.setdiff1d(new, old)])
    merged: Columns = {INDEX: ids}
    for name, values in table.items():
        if name != INDEX and name not in columns:
            merged[name] = _spread(values, old, ids)
    for name, values in columns.items():
        if name != INDEX:
            merged[name] = _spread(np.asarray(values), new, ids)
    layer.features = merged
    return True


def drop_columns(layer: LabelsLayer, names: tuple[str, ...]) -> None:
    """Take columns out of the table, if they are there; a table of nothing else becomes empty."""
    table = columns_of(layer)
    left = {name: values for name, values in table.items() if name not in names}
    if len(left) < len(table):
        layer.features = left if len(left) > 1 else {}


def _spread(values: Column, own: Column, ids: Column) -> Column:
    """Return the values of the objects `own` as a column for the objects `ids`."""
    if np.array_equal(own, ids):
        return values
    order = np.argsort(own, kind="stable")
    places = np.searchsorted(own, ids, sorter=order)
    places = order[np.minimum(places, max(own.size - 1, 0))] if own.size else places * 0
    known = own[places] == ids if own.size else np.zeros(ids.size, bool)
    if known.all():
        return np.asarray(values[places])
    kind = values.dtype.kind
    filled = np.full(ids.size, *_NOTHING.get(kind, ("", object)))
    filled[known] = values[places[known]]
    return filled


_NOTHING: dict[str, tuple[Any, Any]] = {
    "b": (False, bool),
    "i": (np.nan, float),
    "u": (np.nan, float),
    "f": (np.nan, float),
}
