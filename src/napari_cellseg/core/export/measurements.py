"""Tables of measurements as CSV or Parquet."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.export._frame import Frame, wording, write_beside
from napari_cellseg.core.export._objects import columns_of
from napari_cellseg.core.export.registry import EXPORTERS, Table
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.reading import PROVENANCE_KEY


@EXPORTERS.register("measurements-csv")
class MeasurementsCsv:
    """The columns of a table, a row an object; the unit stands in the name of the column.

    Numbers are written so that they are the same when they are read; what is not known is empty.
    What made the labels lies beside the file in ``FILE.csv.json``.
    """

    title: ClassVar[str] = "Measurements (CSV)"
    suffix: ClassVar[str] = ".csv"
    Params: ClassVar[type[components.Params]] = components.Params

    def __init__(self, params: components.Params | None = None) -> None:
        pass

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write `table`.

        Raises
        ------
        OutputError
            If there is no table, or the file cannot be written.
        DataError
            If the table cannot be used.
        """
        columns = _needed(table)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*map(_cells, columns.values()), strict=True))
        write_beside(path, text.getvalue().encode(), Frame.of(labels))


@EXPORTERS.register("measurements-parquet")
class MeasurementsParquet:
    """The columns of a table with their types; what made the labels is in the file's metadata."""

    title: ClassVar[str] = "Measurements (Parquet)"
    suffix: ClassVar[str] = ".parquet"
    Params: ClassVar[type[components.Params]] = components.Params

    def __init__(self, params: components.Params | None = None) -> None:
        pass

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write `table`.

        Raises
        ------
        OutputError
            If there is no table, pyarrow is not installed, or the file cannot be written.
        DataError
            If the table cannot be used.
        """
        columns = _needed(table)
        if find_spec("pyarrow") is None:
            raise OutputError(
                "Parquet needs the package pyarrow: install napari-cellseg[parquet], or write CSV."
            )
        import pyarrow as pa
        from pyarrow import parquet

        told = {PROVENANCE_KEY: Frame.of(labels).text()}
        content = pa.table({n: column.tolist() for n, column in columns.items()}, metadata=told)
        with atomic_file(path) as stream:
            parquet.write_table(content, stream)


def _needed(table: Table | None) -> dict[str, npt.NDArray[Any]]:
    if table is None:
        raise OutputError("There are no measurements to write: measure the objects first.")
    return columns_of(table)


def _cells(column: npt.NDArray[Any]) -> list[Any]:
    if column.dtype.kind != "f":
        return list(column.tolist())
    known = np.isfinite(column)
    return [value if there else "" for value, there in zip(column.tolist(), known, strict=True)]


def read_table(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the columns of a CSV: whole numbers, numbers (NaN where empty), or texts.

    Raises
    ------
    DataError
        If the file cannot be read or has no column ``label``.
    """
    with wording(path, "CSV"):
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))
        header, *rest = rows
        cells = list(zip(*rest, strict=True)) or [()] * len(header)
        return columns_of(dict(zip(header, map(_typed, cells), strict=True)))


def _typed(cells: tuple[str, ...]) -> npt.NDArray[Any]:
    for dtype, missing in ((np.int64, ""), (np.float64, "nan")):
        try:
            return np.array([cell or missing for cell in cells]).astype(dtype)
        except ValueError:
            continue
    return np.array(cells, str)
