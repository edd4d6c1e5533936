"""Parts of COCO's JSON: names of its images, and masks and polygons to runs of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.export._frame import Frame, Plane, known_frame
from napari_cellseg.core.polygons.fill import fill
from napari_cellseg.core.polygons.rings import Rings
from napari_cellseg.core.polygons.runs import Runs

_BITS = 5  # of a number in each letter of the compressed counts; the sixth tells of more
_ZERO = 48  # ASCII code of the letter for 0


def file_name(frame: Frame, image: Image | None) -> Callable[[Plane], str]:
    """Return what names the image of a plane; the planes of a stack get their place behind."""
    source = image.source if image is not None else None
    name = source.name if source is not None else f"{frame.name}.tif"

    def named(plane: Plane) -> str:
        place = [f"_{axis}{at}" for axis, at in zip("tz", plane[1:], strict=True) if at is not None]
        path = PurePath(name)
        return f"{path.stem}{''.join(place)}{path.suffix}"

    return named


def image_indices(
    images: Sequence[dict[str, Any]], told: Any, image: Image | None, path: Path
) -> tuple[Frame, dict[Any, tuple[int, ...]]]:
    """Return the frame of the labels, and the plane of each image that belongs to them.

    Raises
    ------
    DataError
        If it is not clear which image is meant.
    """
    if told is not None:
        frame = known_frame(told, image, path)
        places = (plane.at for plane in frame.planes())
        return frame, {one["id"]: at for one, at in zip(images, places, strict=True)}
    if len(images) > 1 and image is not None:
        images = [one for one in images if PurePath(str(one["file_name"])).stem == image.name]
    if len(images) != 1:
        raise DataError(
            f"'{path.name}' does not tell which of its images is meant: give the image (--image), "
            "named as in the file."
        )
    (one,) = images
    shape = (int(one["height"]), int(one["width"]))
    values: dict[str, Any] = {
        "axes": "YX",
        "shape": shape,
        "name": PurePath(str(one["file_name"])).stem,
    }
    if image is not None:
        values["pixel_size_um"] = image.pixel_size
    return known_frame(values, image, path), {one["id"]: ()}


def column_runs(shapes: Sequence[tuple[int, Any]], plane_shape: tuple[int, int]) -> Runs:
    """Return runs down the columns of a plane from object numbers and their segmentations.

    A segmentation is a mask (counts of 0 and 1 in turn, as list or as text) or a list of polygons.

    Raises
    ------
    DataError
        If a mask is of another size.
    """
    height, width = plane_shape
    starts, stops, owners = [], [], []
    polygons: list[tuple[int, Any]] = []
    for label, shape in shapes:
        if isinstance(shape, list):
            polygons += [(label, polygon) for polygon in shape]
            continue
        counts = shape["counts"]
        ends = np.cumsum(_letters_to_counts(counts) if isinstance(counts, str) else counts)
        if list(shape["size"]) != [height, width] or int(ends[-1]) != height * width:
            raise DataError(f"The mask of object {label} does not fit its image: export it again.")
        stop = ends[1::2]
        owners.append(np.full(len(stop), label))
        starts.append(ends[0::2][: len(stop)])
        stops.append(stop)
    # Each polygon is filled by itself: COCO takes them together, also where they overlap.
    rings = Rings.of((k, np.reshape(xy, (-1, 2))[:, ::-1]) for k, (_, xy) in enumerate(polygons))
    filled = fill(rings, (width, height))
    label_of = np.array([label for label, _ in polygons], np.int64)
    return Runs(
        np.concatenate([*owners, label_of[filled.owner]]).astype(np.int64),
        np.concatenate([*starts, filled.start]).astype(np.int64),
        np.concatenate([*stops, filled.stop]).astype(np.int64),
    )


def _letters_to_counts(text: str) -> list[int]:
    """Return the counts that COCO's own tools pack into letters.

    Numbers are written 5 bits a letter, lowest first, and from the third one on as the difference
    to the one before the last. Source: `rleFrString` of the COCO API.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode("ascii"):
        code = letter - _ZERO
        value |= (code & 31) << shift
        shift += _BITS
        if code & 32:
            continue
        if code & 16:  # negative
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
