"""What is known about objects: a table for the writers, and numbers and labels for the readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.export._frame import Frame, Plane
from napari_cellseg.core.export.registry import Imported, Table
from napari_cellseg.core.polygons.runs import Runs, paint

_PLACE = ("label", "t", "z")


class Known:
    """Looks up what a table tells about an object.

    Parameters
    ----------
    table
        Columns, or None if nothing is known.

    Raises
    ------
    DataError
        If there is no column ``label``, or the columns are of several lengths.
    """

    def __init__(self, table: Table | None) -> None:
        columns = columns_of(table) if table is not None else {"label": np.zeros(0, np.int64)}
        self._numbers = {
            name: column.astype(np.float64).tolist()
            for name, column in columns.items()
            if column.dtype.kind in "iufb" and name not in _PLACE
        }
        labels = columns["label"].astype(np.int64).tolist()
        t, z = (columns[axis].tolist() if axis in columns else [0] * len(labels) for axis in "tz")
        self._by_plane = ("t" in columns, "z" in columns)
        self._rows = {place: row for row, place in enumerate(zip(labels, t, z, strict=True))}
        classes = columns["class"].tolist() if "class" in columns else []
        # A class is the object's, in whichever plane it is told.
        self.classes = {
            i: str(c) for i, c in zip(labels, classes, strict=False) if c not in ("", None)
        }

    def numbers(self, label: int, plane: Plane) -> dict[str, float]:
        """Return the finite numbers that the table has for an object in a plane."""
        t, z = (
            (at or 0) if told else 0
            for at, told in zip((plane.t, plane.z), self._by_plane, strict=True)
        )
        row = self._rows.get((label, t, z))
        if row is None:
            return {}
        found = {name: column[row] for name, column in self._numbers.items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}


def columns_of(table: Table) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a table as arrays.

    Raises
    ------
    DataError
        If there is no column ``label``, or the columns are of several lengths.
    """
    columns = {str(name): np.asarray(column) for name, column in table.items()}
    if "label" not in columns:
        raise DataError(
            "A table of objects needs a column 'label'; this one has "
            f"{', '.join(columns) or 'none'}: choose another one."
        )
    if len({column.shape for column in columns.values()}) != 1 or columns["label"].ndim != 1:
        raise DataError("The columns of a table of objects must be of one length: measure again.")
    return columns


@dataclass
class Found:
    """An object as a file describes it.

    Attributes
    ----------
    index
        Its plane.
    wanted
        Its number, None if the file gives none.
    told
        Class, score, measurements: columns of the table.
    """

    index: tuple[int, ...]
    wanted: int | None
    told: dict[str, Any] = field(default_factory=dict)


def numbers_for(found: Sequence[Found]) -> list[int]:
    """Give each object a number: the one it wants, a new one if that is taken in its plane."""
    free = 1 + max((one.wanted or 0 for one in found), default=0)
    taken: set[tuple[tuple[int, ...], int]] = set()
    numbers = []
    for one in found:
        wanted = one.wanted
        if wanted is None or wanted < 1 or (one.index, wanted) in taken:
            wanted, free = free, free + 1
        taken.add((one.index, wanted))
        numbers.append(wanted)
    if free > np.iinfo(np.int32).max:
        raise DataError("There are object numbers above 2147483647: renumber the objects.")
    return numbers


def imported(
    frame: Frame,
    runs: Mapping[tuple[int, ...], Runs],
    found: Sequence[Found],
    numbers: list[int],
    *,
    columns: bool = False,
) -> Imported:
    """Return labels, painted from the runs of each plane, with the table of what was told.

    With `columns`, the runs go down the columns.
    """
    data = np.zeros(frame.shape, np.int32)
    overlap = 0
    height, width = frame.plane_shape
    for index, some in runs.items():
        painted = paint(some, (width, height) if columns else (height, width))
        data[index] = painted.labels.T if columns else painted.labels
        overlap += painted.overlap
    return Imported(frame.labels(data), _table(frame, found, numbers), overlap)


def by_plane(found: Iterable[Found]) -> dict[tuple[int, ...], list[int]]:
    """Return the places in `found` of the objects of each plane."""
    planes: dict[tuple[int, ...], list[int]] = {}
    for place, one in enumerate(found):
        planes.setdefault(one.index, []).append(place)
    return planes


def _table(frame: Frame, found: Sequence[Found], numbers: list[int]) -> dict[str, Any]:
    names = dict.fromkeys(name for one in found for name in one.told)
    if not names:
        return {}
    table: dict[str, Any] = {"label": np.array(numbers)}
    for k, axis in enumerate(frame.axes[:-2]):
        table[axis.lower()] = np.array([one.index[k] for one in found])
    for name in names:
        missing = "" if any(isinstance(one.told.get(name), str) for one in found) else np.nan
        table[name] = np.array([one.told.get(name, missing) for one in found])
    return table
