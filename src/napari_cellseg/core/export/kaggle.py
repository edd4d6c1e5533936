"""Objects as the run lengths of Kaggle's competitions on cells, in CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.export._frame import (
    Frame,
    Plane,
    known_frame,
    read_beside,
    wording,
    write_beside,
)
from napari_cellseg.core.export._objects import Found, by_plane, imported, numbers_for
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.polygons.runs import Runs, runs_of
from napari_cellseg.core.reading import PROVENANCE_KEY

_COLUMNS = {"rows": ("id", "predicted"), "columns": ("ImageId", "EncodedPixels")}
_ENCODED = ("predicted", "annotation", "EncodedPixels")


class KaggleParams(components.Params):
    """Settings of Kaggle's run lengths."""

    order: Literal["rows", "columns"] = Field(
        "rows",
        title="Order of the pixels",
        description=(
            "Pixels are numbered along rows in the Sartorius competition (2021), down columns in "
            "the Data Science Bowl (2018)."
        ),
    )


@EXPORTERS.register("kaggle")
class Kaggle:
    """A row an object: name of the image, and pairs of first pixel, from 1, and length of a run.

    An image without objects has one row with nothing in it. No two objects share a pixel. Planes of
    a stack are images of their own. What a CSV cannot tell lies beside it in ``FILE.csv.json``.
    """

    title: ClassVar[str] = "Run lengths for Kaggle (CSV)"
    suffix: ClassVar[str] = ".csv"
    Params: ClassVar[type[components.Params]] = KaggleParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = KaggleParams.model_validate((params or KaggleParams()).model_dump())

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write all objects; the rows are called like the image, or like the labels without one.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        frame = Frame.of(labels)
        name = image.name if image is not None else labels.name
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS[self._params.order])
        told = []
        for plane in frame.planes():
            data = labels.data[plane.at]
            rows = _rows(data if self._params.order == "rows" else data.T)
            for label, encoded in rows or [(0, "")]:
                writer.writerow([_plane_name(name, plane), encoded])
                told.append([label, *plane.at])
        content = text.getvalue().encode()
        write_beside(path, content, frame, order=self._params.order, rows=told)


def _plane_name(name: str, plane: Plane) -> str:
    place = [f"_{axis}{at}" for axis, at in zip("tz", plane[1:], strict=True) if at is not None]
    return name + "".join(place)


def _rows(data: npt.NDArray[Any]) -> list[tuple[int, str]]:
    runs = runs_of(data)
    ids, bounds = runs.by_object()
    pairs = np.stack([runs.start + 1, runs.stop - runs.start], axis=1).reshape(-1).tolist()
    return [
        (label, " ".join(map(str, pairs[2 * bounds[k] : 2 * bounds[k + 1]])))
        for k, label in enumerate(ids.tolist())
    ]


def read(path: Path, image: Image | None = None) -> Imported:
    """Read a submission or the training table of one of the two competitions.

    Of several images, the rows with the name of `image` are read. Where overlapping objects were
    written by others, a pixel goes to the smallest.

    Raises
    ------
    DataError
        If the file is damaged, the size of the image is not known, or it is not clear which image
        is meant.
    """
    with wording(path, "CSV of run lengths"):
        content = path.read_bytes()
        told = read_beside(path, content)
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        header = list(rows[0]) if rows else []
        encoded = next((name for name in _ENCODED if name in header), "")
        if not encoded:
            raise ValueError("it has no column of run lengths")
        columns = (
            told.get("order", "columns" if encoded == "EncodedPixels" else "rows") == "columns"
        )
        if told:
            frame = known_frame(told[PROVENANCE_KEY], image, path)
            places = [(int(label), tuple(index)) for label, *index in told["rows"]]
        else:
            rows = _rows_of_image(rows, header[0], image, path)
            frame = _frame_of(rows, image, path)
            places = [(0, ())] * len(rows)
        texts = [row[encoded].strip() for row in rows]
        kept = [k for k, text in enumerate(texts) if text]
        found = [Found(places[k][1], places[k][0] or None) for k in kept]
        numbers = numbers_for(found)
        runs = {}
        for index, some in by_plane(found).items():
            pairs = [np.array(texts[kept[k]].split(), np.int64).reshape(-1, 2) for k in some]
            runs[index] = _decoded(pairs, [numbers[k] for k in some], frame.plane_shape)
        return imported(frame, runs, found, numbers, columns=columns)


def _decoded(
    pairs: list[npt.NDArray[np.int64]], numbers: list[int], shape: tuple[int, int]
) -> Runs:
    start, length = np.concatenate(pairs).T
    start = start - 1
    if start.min() < 0 or length.min() < 1 or (start + length).max() > shape[0] * shape[1]:
        raise DataError("Run lengths do not fit the image: choose the image that they belong to.")
    return Runs(np.repeat(numbers, [len(one) for one in pairs]), start, start + length)


def _rows_of_image(
    rows: list[dict[str, str]], key: str, image: Image | None, path: Path
) -> list[dict[str, str]]:
    names = {row[key] for row in rows}
    if len(names) > 1 and image is not None:
        rows = [row for row in rows if row[key] == image.name]
        names = {row[key] for row in rows}
    if len(names) != 1:
        raise DataError(
            f"'{path.name}' does not tell which of its images is meant: give the image (--image), "
            "named as in the file."
        )
    return rows


def _frame_of(rows: list[dict[str, str]], image: Image | None, path: Path) -> Frame:
    if image is not None or "height" not in rows[0]:
        return known_frame(None, image, path)
    shape = (int(rows[0]["height"]), int(rows[0]["width"]))
    return known_frame({"axes": "YX", "shape": shape, "name": path.stem}, None, path)


def _accepts(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            header = stream.readline(4096).decode("utf-8-sig", "replace").strip().split(",")
    except OSError:
        return False
    return any(name in header for name in _ENCODED)


IMPORTERS.register("kaggle")(Importer("Run lengths of Kaggle (CSV)", (".csv",), _accepts, read))
