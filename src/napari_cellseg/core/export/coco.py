"""Objects in the JSON of COCO, as masks of run lengths or as polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.export._coco import column_runs, file_name, image_indices
from napari_cellseg.core.export._frame import Frame, read_json, wording
from napari_cellseg.core.export._objects import Found, Known, by_plane, imported, numbers_for
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.polygons.pieces import keyhole, outlines
from napari_cellseg.core.polygons.runs import runs_of
from napari_cellseg.core.reading import PROVENANCE_KEY

_DEFAULT_CLASS = "cell"


class CocoParams(components.Params):
    """Settings of COCO JSON."""

    segmentation: Literal["rle", "polygons"] = Field(
        "rle",
        title="Shapes",
        description=(
            "Masks of run lengths hold every shape exactly. Polygons are what some training "
            "programs ask for; a hole is joined to the outline by a line without width."
        ),
    )


@EXPORTERS.register("coco")
class Coco:
    """One annotation an object and plane; the planes of a stack are images of their own.

    Source: https://cocodataset.org/#format-data; run lengths go down the columns.
    """

    title: ClassVar[str] = "Annotations (COCO JSON)"
    suffix: ClassVar[str] = ".json"
    Params: ClassVar[type[components.Params]] = CocoParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = CocoParams.model_validate((params or CocoParams()).model_dump())

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write all objects, with classes as categories, and scores if the table has them.

        Raises
        ------
        OutputError
            If the file cannot be written.
        DataError
            If the table cannot be used.
        """
        frame, known = Frame.of(labels), Known(table)
        name = file_name(frame, image)
        # Without classes one category; one more for objects without, where others have one.
        names = sorted({*known.classes.values()}) or [_DEFAULT_CLASS]
        if known.classes and _DEFAULT_CLASS not in names:
            names.append(_DEFAULT_CLASS)
        height, width = frame.plane_shape
        head = {
            "info": {
                "description": "Objects of napari-cellseg",
                PROVENANCE_KEY: frame.model_dump(),
            },
            "images": [
                {"id": k, "file_name": name(plane), "width": width, "height": height}
                for k, plane in enumerate(frame.planes(), 1)
            ],
            "categories": [{"id": k, "name": one} for k, one in enumerate(names, 1)],
        }
        annotations = self._annotations(labels, frame, known, names)
        with atomic_file(path) as stream:
            stream.write(json.dumps(head, allow_nan=False)[:-1].encode())
            stream.write(b', "annotations": [')
            for number, one in enumerate(annotations, 1):
                stream.write(b"\n" if number == 1 else b",\n")
                stream.write(json.dumps({"id": number, **one}, allow_nan=False).encode())
            stream.write(b"\n]}\n")

    def _annotations(
        self, labels: Labels, frame: Frame, known: Known, names: list[str]
    ) -> Iterator[dict[str, Any]]:
        number = {name: k for k, name in enumerate(names, 1)}
        shapes = _masks if self._params.segmentation == "rle" else _polygons
        for image_id, plane in enumerate(frame.planes(), 1):
            data = labels.data[plane.at]
            boxes = _boxes(data)
            for label, segmentation in shapes(data):
                area, box = boxes[label]
                one = {
                    "image_id": image_id,
                    "category_id": number[known.classes.get(label, _DEFAULT_CLASS)],
                    "label": label,
                    "area": area,
                    "bbox": box,
                    "iscrowd": 0,
                    "segmentation": segmentation,
                }
                score = known.numbers(label, plane).get("score")
                yield one if score is None else {**one, "score": score}


def _masks(data: npt.NDArray[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    runs = runs_of(data.T)
    ids, bounds = runs.by_object()
    # Ends of all runs in turn; their differences are the counts of 0 and 1 that COCO wants.
    ends = np.stack([runs.start, runs.stop], axis=1).reshape(-1)
    height, width = data.shape
    for k, label in enumerate(ids.tolist()):
        own = ends[2 * bounds[k] : 2 * bounds[k + 1]]
        counts = np.diff(own, prepend=0, append=data.size).tolist()
        yield label, {"size": [height, width], "counts": counts}


def _polygons(data: npt.NDArray[Any]) -> Iterator[tuple[int, list[list[int]]]]:
    for outline in outlines(data):
        yield outline.label, [keyhole(piece).reshape(-1).tolist() for piece in outline.pieces]


def _boxes(data: npt.NDArray[Any]) -> dict[int, tuple[int, list[int]]]:
    """Return area and [x, y, width, height] of each object."""
    sides = []
    area = np.zeros(0, np.int64)
    ids = np.zeros(0, np.int64)
    for turned in (data.T, data):
        runs = runs_of(turned)
        ids, bounds = runs.by_object()
        if not len(ids):
            return {}
        length = turned.shape[1]
        low = np.minimum.reduceat(runs.start // length, bounds[:-1])
        high = np.maximum.reduceat((runs.stop - 1) // length, bounds[:-1])
        sides.append((low, high - low + 1))
        area = np.add.reduceat(runs.stop - runs.start, bounds[:-1])
    (x, width), (y, height) = sides
    boxes = np.stack([x, y, width, height], axis=1).tolist()
    return dict(zip(ids.tolist(), zip(area.tolist(), boxes, strict=True), strict=True))


def read(path: Path, image: Image | None = None) -> Imported:
    """Read the annotations of one image: that of the file, or that with the name of `image`.

    Raises
    ------
    DataError
        If the file is damaged, or it is not clear which of its images is meant.
    """
    with wording(path, "COCO JSON"):
        content = read_json(path)
        told = (content.get("info") or {}).get(PROVENANCE_KEY)
        frame, indices = image_indices(content["images"], told, image, path)
        categories = {one["id"]: str(one["name"]) for one in content.get("categories", [])}
        kept = [one for one in content["annotations"] if one["image_id"] in indices]
        found = [_found(one, indices, categories) for one in kept]
        numbers = numbers_for(found)
        runs = {}
        for index, places in by_plane(found).items():
            shapes = [(numbers[k], kept[k]["segmentation"]) for k in places]
            runs[index] = column_runs(shapes, frame.plane_shape)
        return imported(frame, runs, found, numbers, columns=True)


def _found(
    one: dict[str, Any], indices: dict[Any, tuple[int, ...]], categories: dict[Any, str]
) -> Found:
    told: dict[str, Any] = {}
    if len(categories) > 1 and one.get("category_id") in categories:
        told["class"] = categories[one["category_id"]]
    if one.get("score") is not None:
        told["score"] = float(one["score"])
    wanted = one.get("label")
    return Found(indices[one["image_id"]], wanted if isinstance(wanted, int) else None, told)


def _accepts(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return b'"Feature' not in stream.read(4096)
    except OSError:
        return False


IMPORTERS.register("coco")(Importer("Annotations (COCO JSON)", (".json",), _accepts, read))
