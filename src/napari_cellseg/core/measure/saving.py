"""Tables of measurements to files: CSV or Parquet, and beside them what the columns mean."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.files import atomic_file, write_text
from napari_cellseg.core.measure.definitions import definition, unit
from napari_cellseg.core.measure.table import Column, Columns, MeasureTable

SUFFIXES = (".csv", ".parquet")


def check_format(path: Path) -> None:
    """Refuse a file that could not be written, before anything is measured.

    Raises
    ------
    OutputError
        If its ending is no known one, or pyarrow is missing for Parquet.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"'{path.name}' is no name for a table: let it end in {' or '.join(SUFFIXES)}."
        )
    if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise OutputError(
            "Parquet needs the package pyarrow: install napari-cellseg[parquet], or write CSV."
        )


def save_columns(columns: Columns, path: Path) -> None:
    """Write columns as CSV or Parquet, as the ending says; numbers are the same when read again.

    In CSV what is not known (NaN) is an empty cell, in Parquet a null.

    Raises
    ------
    OutputError
        As of `check_format`, or if the file cannot be written.
    """
    check_format(path)
    if path.suffix.lower() == ".parquet":
        _save_parquet(columns, path)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    cells = [["" if one is None else one for one in _values(c)] for c in columns.values()]
    writer.writerows(zip(*cells, strict=True))
    write_text(path, text.getvalue())


def save_table(table: MeasureTable, path: Path, made: Mapping[str, Any] | None = None) -> None:
    """Write a table, and ``FILE.json`` beside it: what the columns mean, and how it was `made`.

    Raises
    ------
    OutputError
        As of `save_columns`.
    """
    save_columns(table.columns, path)
    about = {
        "columns": {
            name: {"meaning": definition(name), "unit": unit(name)} for name in table.columns
        },
        "images": [
            {
                "name": one.name,
                "group": one.group,
                "objects": one.objects,
                "planes": one.planes,
                "pixel_size_um": one.pixel_size,
            }
            for one in table.images
        ],
        "notes": list(table.notes),
        **(made or {}),
    }
    write_text(described(path), json.dumps(about, ensure_ascii=False, indent=2) + "\n")


def described(path: Path) -> Path:
    """Return the path of what is told about the table in `path`."""
    return path.with_name(f"{path.name}.json")


def _values(column: Column) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind != "f":
        return values
    known = np.isfinite(column).tolist()
    return [value if there else None for value, there in zip(values, known, strict=True)]


def _save_parquet(columns: Columns, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"f": pa.float64(), "b": pa.bool_(), "i": pa.int64(), "u": pa.int64()}
    arrays = {
        name: pa.array(_values(column), types.get(column.dtype.kind, pa.string()))
        for name, column in columns.items()
    }
    with atomic_file(path) as stream:
        parquet.write_table(pa.table(arrays), stream)
