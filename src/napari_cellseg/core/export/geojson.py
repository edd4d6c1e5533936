"""Objects as polygons in GeoJSON, as QuPath reads and writes it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.export._frame import Frame, Plane, known_frame, read_json, wording
from napari_cellseg.core.export._objects import Found, Known, by_plane, imported, numbers_for
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.polygons.fill import fill
from napari_cellseg.core.polygons.pieces import Outline, Ring, outlines
from napari_cellseg.core.polygons.rings import Rings
from napari_cellseg.core.reading import PROVENANCE_KEY

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "napari-cellseg")
# Of Okabe and Ito, told apart by colour-blind people too.
_COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (0, 114, 178), (213, 94, 0),
)  # fmt: skip


class GeoJsonParams(components.Params):
    """Settings of GeoJSON."""

    kind: Literal["detection", "annotation"] = Field(
        "detection",
        title="Kind of object",
        description=(
            "What the objects are in QuPath: detections, which it handles by the ten thousand, or "
            "annotations, which can be edited there."
        ),
    )


@EXPORTERS.register("geojson")
class GeoJson:
    """One feature an object (and plane); vertices are corners of pixels, so that no shape is lost.

    Source: the objects of QuPath 0.4 to 0.6, `qupath.lib.io.PathObjectTypeAdapters`.
    """

    title: ClassVar[str] = "Polygons for QuPath (GeoJSON)"
    suffix: ClassVar[str] = ".geojson"
    Params: ClassVar[type[components.Params]] = GeoJsonParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = GeoJsonParams.model_validate((params or GeoJsonParams()).model_dump())

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write all objects, with their classes and the numbers of `table` as measurements.

        Raises
        ------
        OutputError
            If the file cannot be written.
        DataError
            If the table cannot be used.
        """
        frame, known = Frame.of(labels), Known(table)
        features = self._features(labels, frame, known)
        with atomic_file(path) as stream:
            stream.write(b'{"type": "FeatureCollection", ')
            stream.write(f'"{PROVENANCE_KEY}": {frame.text()}, "features": ['.encode())
            for number, feature in enumerate(features):
                stream.write((",\n" if number else "\n").encode())
                stream.write(json.dumps(feature, allow_nan=False).encode())
            stream.write(b"\n]}\n")

    def _features(self, labels: Labels, frame: Frame, known: Known) -> Iterator[dict[str, Any]]:
        names = sorted(set(known.classes.values()))
        colours = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(names)}
        locked = {*frame.edited, *frame.accepted}
        for plane in frame.planes():
            for outline in outlines(labels.data[plane.at]):
                properties: dict[str, Any] = {
                    "objectType": self._params.kind,
                    "name": str(outline.label),
                }
                if (name := known.classes.get(outline.label)) is not None:
                    properties["classification"] = {"name": name, "color": colours[name]}
                if outline.label in locked:
                    properties["isLocked"] = True
                if measured := known.numbers(outline.label, plane):
                    properties["measurements"] = measured
                yield {
                    "type": "Feature",
                    "id": str(uuid.uuid5(_NAMESPACE, f"{frame.name}/{plane[1:]}/{outline.label}")),
                    "geometry": _geometry(outline, plane),
                    "properties": properties,
                }


def _geometry(outline: Outline, plane: Plane) -> dict[str, Any]:
    polygons = [[_closed(ring) for ring in piece] for piece in outline.pieces]
    single = len(polygons) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": polygons[0] if single else polygons,
    }
    if plane.at:
        geometry["plane"] = {"c": -1, "z": plane.z or 0, "t": plane.t or 0}
    return geometry


def _closed(ring: Ring) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]


def read(path: Path, image: Image | None = None) -> Imported:
    """Read polygons; other shapes are left out.

    A whole number as a name is taken for the object's number. A pixel belongs to an object if its
    centre lies inside.

    Raises
    ------
    DataError
        If the file is damaged, or says nothing about the size of the image, and `image` is None.
    """
    with wording(path, "GeoJSON"):
        content = read_json(path)
        frame = known_frame(content.get(PROVENANCE_KEY), image, path)
        features = content.get("features", [content])
        shapes = [(_rings(feature["geometry"]), feature) for feature in features]
        kept = [(rings, feature) for rings, feature in shapes if rings]
        found = [_found(feature, frame) for _, feature in kept]
        numbers = numbers_for(found)
        runs = {}
        for index, places in by_plane(found).items():
            rings = Rings.of((numbers[k], ring) for k in places for ring in kept[k][0])
            runs[index] = fill(rings, frame.plane_shape)
        return imported(frame, runs, found, numbers)


def _rings(geometry: dict[str, Any] | None) -> list[Any]:
    if geometry is None or geometry["type"] not in ("Polygon", "MultiPolygon"):
        return []
    polygons = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    # The last vertex repeats the first; a third coordinate, if there is one, is a height.
    return [np.array(ring, np.float64)[:-1, :2] for polygon in polygons for ring in polygon]


def _found(feature: dict[str, Any], frame: Frame) -> Found:
    properties = feature.get("properties") or {}
    plane = feature["geometry"].get("plane") or {}
    index = frame.index(plane.get("t"), plane.get("z"))
    name = str(properties.get("name", ""))
    wanted = int(name) if name.isascii() and name.isdigit() else None
    told: dict[str, Any] = {}
    classification = properties.get("classification") or {}
    if "name" in classification or "names" in classification:
        told["class"] = classification.get("name") or ": ".join(classification["names"])
    measurements = properties.get("measurements") or {}
    if isinstance(measurements, list):  # before QuPath 0.4
        measurements = {one["name"]: one["value"] for one in measurements}
    told |= {str(key): float(value) for key, value in measurements.items()}
    return Found(index, wanted, told)


def _accepts(path: Path) -> bool:
    if path.suffix.lower() == ".geojson":
        return True
    try:
        with path.open("rb") as stream:
            return b'"Feature' in stream.read(4096)
    except OSError:
        return False


IMPORTERS.register("geojson")(
    Importer("Polygons of QuPath (GeoJSON)", (".geojson", ".json"), _accepts, read)
)
