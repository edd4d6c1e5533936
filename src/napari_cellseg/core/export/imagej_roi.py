"""Objects as a zip of ImageJ's regions of interest, for its ROI Manager."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import roifile

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.export._frame import Frame, Plane, known_frame, wording
from napari_cellseg.core.export._objects import Found, Known, by_plane, imported, numbers_for
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.polygons.fill import fill
from napari_cellseg.core.polygons.pieces import Outline, Ring, outlines
from napari_cellseg.core.polygons.rings import Rings
from napari_cellseg.core.reading import PROVENANCE_KEY

_LARGEST_SHORT = 32767  # beyond, coordinates are written as floating point
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # what a path of ImageJ (java.awt.geom) consists of
_LARGEST_ROI = 2**28  # bytes; a file that claims more is no list of outlines


@EXPORTERS.register("imagej-roi")
class ImageJRoi:
    """One region an object and plane, along the borders of pixels as ImageJ's wand draws them.

    Objects with holes or in several pieces are composite regions. Each region has its object's
    number as name and as property ``label``; its class is the property ``class``; the first one's
    property ``napari-cellseg`` tells what made the labels.
    """

    title: ClassVar[str] = "Regions for ImageJ (ROI zip)"
    suffix: ClassVar[str] = ".zip"
    Params: ClassVar[type[components.Params]] = components.Params

    def __init__(self, params: components.Params | None = None) -> None:
        pass

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write all objects with their place in the stack.

        Raises
        ------
        OutputError
            If the file cannot be written.
        DataError
            If the table cannot be used.
        """
        frame, known = Frame.of(labels), Known(table)
        digits = len(str(max(int(labels.data.max()), 1)))
        with atomic_file(path) as stream, zipfile.ZipFile(stream, "w") as archive:
            for number, (outline, plane) in enumerate(_outlines(labels, frame)):
                place = [
                    f"_{a}{p + 1}" for a, p in zip("tz", plane[1:], strict=True) if p is not None
                ]
                name = f"{outline.label:0{digits}d}{''.join(place)}"
                properties = {"label": str(outline.label)}
                if outline.label in known.classes:
                    properties["class"] = known.classes[outline.label]
                if not number:
                    properties[PROVENANCE_KEY] = frame.text()
                roi = _region(outline)
                roi.name = name
                roi.props = "".join(f"{key}: {value}\n" for key, value in properties.items())
                _place(roi, plane, image)
                # Dated 1980: the same labels give the same file.
                archive.writestr(zipfile.ZipInfo(f"{name}.roi"), roi.tobytes())


def _outlines(labels: Labels, frame: Frame) -> Iterator[tuple[Outline, Plane]]:
    for plane in frame.planes():
        for outline in outlines(labels.data[plane.at]):
            yield outline, plane


def _region(outline: Outline) -> roifile.ImagejRoi:
    rings = [ring for piece in outline.pieces for ring in piece]
    corners = np.concatenate(rings)
    roi = roifile.ImagejRoi()
    low, high = corners.min(axis=0), corners.max(axis=0)
    simple = len(rings) == 1 and len(corners) <= _LARGEST_SHORT
    if simple and int(high.max()) <= _LARGEST_SHORT:
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.integer_coordinates = (corners - low).astype(np.int32)
        roi.n_coordinates = len(corners)
    else:
        roi.roitype = roifile.ROI_TYPE.RECT
        roi.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
        roi.shape_roi_size = len(roi.multi_coordinates)
        # ImageJ takes the bounds of a composite region from its path.
        low, high = np.minimum(low, _LARGEST_SHORT), np.minimum(high, _LARGEST_SHORT)
    (roi.left, roi.top), (roi.right, roi.bottom) = low.tolist(), high.tolist()
    return roi


def _path(ring: Ring) -> npt.NDArray[np.float32]:
    steps = np.full((len(ring), 3), _LINE, np.float32)
    steps[0, 0] = _MOVE
    steps[:, 1:] = ring
    return np.append(steps.reshape(-1), np.float32(_CLOSE))


def _place(roi: roifile.ImagejRoi, plane: Plane, image: Image | None) -> None:
    """Say for which plane a region is; ImageJ numbers the planes of a mere stack, from 1."""
    hyperstack = len(plane.at) > 1 or (image is not None and not image.rgb and image.size("C") > 1)
    if hyperstack:
        roi.z_position = 0 if plane.z is None else plane.z + 1
        roi.t_position = 0 if plane.t is None else plane.t + 1
    elif plane.at:
        roi.position = plane.at[0] + 1


def read(path: Path, image: Image | None = None) -> Imported:
    """Read regions: polygons, rectangles, ovals, composites; lines and points are left out.

    Raises
    ------
    DataError
        If the file is damaged, or says nothing about the size of the image, and `image` is None.
    """
    with wording(path, "zip of ImageJ's regions"):
        regions = list(_regions(path))
        told = next((p[PROVENANCE_KEY] for _, _, p in regions if PROVENANCE_KEY in p), None)
        frame = known_frame(None if told is None else json.loads(told), image, path)
        kept = [(name, roi, p) for name, roi, p in regions if _is_area(roi)]
        found = [_found(name, roi, properties, frame) for name, roi, properties in kept]
        numbers = numbers_for(found)
        runs = {}
        for index, places in by_plane(found).items():
            pairs = [(numbers[k], kept[k][1].coordinates(multi=True)) for k in places]
            rings = Rings.of((number, ring) for number, some in pairs for ring in some)
            runs[index] = fill(rings, frame.plane_shape)
        return imported(frame, runs, found, numbers)


def _regions(path: Path) -> Iterator[tuple[str, roifile.ImagejRoi, dict[str, str]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.lower().endswith(".roi"):
                    continue
                if info.file_size > _LARGEST_ROI:
                    raise ValueError(f"{info.filename} is too large")
                roi = roifile.ImagejRoi.frombytes(archive.read(info))
                lines = [line.partition(":") for line in roi.props.splitlines()]
                yield roi.name, roi, {key.strip(): value.strip() for key, _, value in lines}
    except (zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _is_area(roi: roifile.ImagejRoi) -> bool:
    kinds = roifile.ROI_TYPE
    return roi.roitype in (kinds.POLYGON, kinds.FREEHAND, kinds.TRACED, kinds.RECT, kinds.OVAL)


def _found(name: str, roi: roifile.ImagejRoi, properties: dict[str, str], frame: Frame) -> Found:
    number = properties.get("label", name)
    wanted = int(number) if number.isascii() and number.isdigit() else None
    told = {"class": properties["class"]} if properties.get("class") else {}
    if roi.z_position or roi.t_position or len(frame.shape) != 3:
        index = frame.index(max(roi.t_position - 1, 0), max(roi.z_position - 1, 0))
    else:
        at = max(roi.position - 1, 0)
        index = frame.index(at, at)
    return Found(index, wanted, told)


def _accepts(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return not names or any(name.lower().endswith(".roi") for name in names)
    except (zipfile.BadZipFile, OSError):
        return False


IMPORTERS.register("imagej-roi")(Importer("Regions of ImageJ (ROI zip)", (".zip",), _accepts, read))
