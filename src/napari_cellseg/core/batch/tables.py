"""Tables as CSV, and many of them put below each other without holding them in memory."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.files import atomic_file


def write_rows(
    path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]], *, sync: bool = True
) -> None:
    """Write a CSV, whole or not at all; None, NaN and infinite numbers are empty cells.

    `sync` is that of `atomic_file`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic_file(path, sync=sync) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in rows)
        text.flush()
        text.detach()  # the stream is closed by who opened it


def write_columns(path: Path, columns: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write columns of equal length, as `write_rows`."""
    rows = zip(*(one.tolist() for one in columns.values()), strict=True)
    write_rows(path, list(columns), rows, sync=sync)


def join_tables(path: Path, parts: Sequence[Path]) -> None:
    """Put tables of `write_rows` below each other; a column that one lacks is empty there.

    Raises
    ------
    DataError
        If a part cannot be read.
    OutputError
        As of `write_rows`.
    """
    names: dict[str, None] = {}
    for part in parts:
        names.update(dict.fromkeys(next(_rows(part), [])))
    write_rows(path, list(names), _joined(parts, list(names)))


def _joined(parts: Sequence[Path], names: list[str]) -> Iterable[list[str]]:
    for part in parts:
        rows = iter(_rows(part))
        place = {name: at for at, name in enumerate(next(rows, []))}
        if list(place) == names:
            yield from rows
            continue
        order = [place.get(name) for name in names]
        for row in rows:
            yield ["" if at is None else row[at] for at in order]


def _rows(part: Path) -> Any:
    try:
        with part.open(encoding="utf-8", newline="") as stream:
            yield from csv.reader(stream)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The measurements in '{part}' cannot be read ({error}): remove this file and run the "
            "batch again."
        ) from error


def _cell(value: Any) -> Any:
    missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return "" if missing else value
