"""A table of measurements: one row an object, one column a measure with its unit in the name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError

Column = npt.NDArray[Any]
Columns = dict[str, Column]

KEYS = ("image", "group", "t", "z", "label")
"""Columns that say which object a row is about."""


@dataclass(frozen=True)
class MeasuredImage:
    """An image whose objects are in a table, also if it has none.

    Attributes
    ----------
    name, group
        What it is called, and what it is counted to.
    objects
        Rows of the table.
    planes
        How many planes were measured.
    pixels, covered
        Pixels of all planes, and how many of them are in objects.
    pixel_size
        Height and width of a pixel in µm, None if unknown.
    """

    name: str
    group: str
    objects: int
    planes: int
    pixels: int
    covered: int
    pixel_size: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class MeasureTable:
    """Measurements of the objects of one or more images; N rows.

    Attributes
    ----------
    columns
        Numbers and texts by name, each (N,); `label` is the object's number in the label image.
        See `definition` for what a column means.
    images
        The images, in the order of their rows.
    notes
        What a reader should know, one sentence each.
    """

    columns: Columns
    images: tuple[MeasuredImage, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len({len(column) for column in self.columns.values()}) > 1:
            raise ValueError("columns of a table have one length")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def joined(self, other: MeasureTable) -> MeasureTable:
        """Return the table with further columns for the same objects, as of a second run.

        Raises
        ------
        DataError
            If the rows of the two are not the same objects.
        """
        keys = [key for key in KEYS if key in self.columns or key in other.columns]
        for key in keys:
            mine, theirs = self.columns.get(key), other.columns.get(key)
            if mine is None or theirs is None or not np.array_equal(mine, theirs):
                raise DataError(
                    "The two tables hold other objects: the labels were changed meanwhile; "
                    "measure again."
                )
        notes = dict.fromkeys((*self.notes, *other.notes))
        return MeasureTable({**self.columns, **other.columns}, self.images, tuple(notes))

    def named(self, image: str, group: str = "") -> MeasureTable:
        """Return the table with columns `image` and `group`, ready to be put below others."""
        about = {"image": np.full(len(self), image), "group": np.full(len(self), group)}
        images = tuple(replace(one, name=image, group=group) for one in self.images)
        rest = {name: c for name, c in self.columns.items() if name not in about}
        notes = tuple(f"{image}: {note}" for note in self.notes)
        return MeasureTable({**about, **rest}, images, notes)

    def numeric(self) -> list[str]:
        """Return the names of the columns that are measurements: numbers and yes-or-no."""
        return [
            name
            for name, column in self.columns.items()
            if name not in KEYS and column.dtype.kind in "buif"
        ]


def stacked(tables: Sequence[MeasureTable]) -> MeasureTable:
    """Put tables below each other; what one lacks is NaN there, or an empty text.

    A column that is missing in some tables holds floats, yes and no as 1 and 0.
    """
    names = dict.fromkeys(name for table in tables for name in table.columns)
    full = [table for table in tables if len(table)]
    columns = {name: _stacked_column(name, full or list(tables)) for name in names}
    images = tuple(image for table in tables for image in table.images)
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    return MeasureTable(columns, images, tuple(notes))


def _stacked_column(name: str, tables: Sequence[MeasureTable]) -> Column:
    found = [table.columns.get(name) for table in tables]
    text = any(column is not None and column.dtype.kind in "UO" for column in found)
    parts = []
    for column, table in zip(found, tables, strict=True):
        if column is None:
            column = np.full(len(table), "" if text else np.nan)
        parts.append(column)
    return np.concatenate(parts) if parts else np.zeros(0)
