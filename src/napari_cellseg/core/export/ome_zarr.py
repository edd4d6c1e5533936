"""Labels as OME-Zarr 0.5, a folder of chunks at several resolutions."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.export._frame import Frame, known_frame, name_of, wording
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.files import output_error
from napari_cellseg.core.reading import PROVENANCE_KEY

_SMALLEST = 256  # px, side from which an image gets no smaller copy
_AXES = {"T": ("t", "time"), "Z": ("z", "space"), "Y": ("y", "space"), "X": ("x", "space")}
_MICROMETRES = {
    "micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6,
}  # fmt: skip
_INSTALL = "OME-Zarr needs the package zarr: install napari-cellseg[zarr]"


class OmeZarrParams(components.Params):
    """Settings of OME-Zarr."""

    chunk: int = Field(
        1024,
        ge=64,
        le=16384,
        title="Chunk",
        description="Side of the pieces that are stored in a file each.",
        json_schema_extra={"unit": "px"},
    )


@EXPORTERS.register("ome-zarr")
class OmeZarr:
    """A label image of its own; smaller copies hold every second, fourth, ... pixel.

    Into the folder ``labels`` of an OME-Zarr image (``image.zarr/labels/NAME``), it is written as
    one of that image's labels and entered in their list.

    Source: https://ngff.openmicroscopy.org/0.5.
    """

    title: ClassVar[str] = "Labels as OME-Zarr"
    suffix: ClassVar[str] = ".zarr"
    Params: ClassVar[type[components.Params]] = OmeZarrParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = OmeZarrParams.model_validate((params or OmeZarrParams()).model_dump())

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write the folder whole or not at all; an older one of that name is replaced.

        Raises
        ------
        OutputError
            If zarr is not installed, numbers are below 0, or the folder cannot be written.
        """
        if find_spec("zarr") is None:
            raise OutputError(f"{_INSTALL}, or choose another format.")
        import zarr

        if labels.data.min() < 0:
            raise OutputError("Object numbers below 0 cannot be stored: renumber the objects.")
        highest = int(labels.data.max())
        dtype = np.uint16 if highest <= 65535 else np.uint32
        levels = _levels(labels.data.shape)
        attributes = {
            "ome": _metadata(labels, levels, in_image=_is_in_image(path)),
            PROVENANCE_KEY: Frame.of(labels).model_dump(mode="json"),
        }
        with _fresh_folder(path) as fresh:
            group = zarr.open_group(fresh, mode="w", zarr_format=3, attributes=attributes)
            for level in range(levels):
                data = labels.data[..., :: 2**level, :: 2**level].astype(dtype)
                side = self._params.chunk
                chunks = (*(1 for _ in data.shape[:-2]), *(min(side, n) for n in data.shape[-2:]))
                names = [axis.lower() for axis in labels.axes]
                array = group.create_array(
                    str(level), shape=data.shape, dtype=dtype, chunks=chunks, dimension_names=names
                )
                array[...] = data
        if _is_in_image(path):
            _enter(path)


def _levels(shape: tuple[int, ...]) -> int:
    levels, side = 1, max(shape[-2:])
    while side > _SMALLEST and min(shape[-2:]) >> levels:
        side = -(-side // 2)
        levels += 1
    return levels


def _metadata(labels: Labels, levels: int, *, in_image: bool) -> dict[str, Any]:
    axes = []
    for axis in labels.axes:
        name, kind = _AXES[axis]
        known = labels.z_step if axis == "Z" else labels.pixel_size
        unit = {"unit": "micrometer"} if kind == "space" and known is not None else {}
        axes.append({"name": name, "type": kind, **unit})
    y, x = labels.pixel_size or (1.0, 1.0)
    datasets = []
    for level in range(levels):
        step = 2**level
        steps = {"T": 1.0, "Z": labels.z_step or 1.0, "Y": y * step, "X": x * step}
        scale = {"type": "scale", "scale": [steps[axis] for axis in labels.axes]}
        # The centre of a pixel is where its number points: the first pixels of all levels agree.
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    multiscale = {"name": labels.name, "axes": axes, "datasets": datasets, "type": "nearest"}
    label = {"source": {"image": "../../"}} if in_image else {}
    return {"version": "0.5", "multiscales": [multiscale], "image-label": label}


@contextmanager
def _fresh_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes the place of `path` only once it is complete."""
    try:
        with tempfile.TemporaryDirectory(prefix=".zarr-", dir=path.parent) as scratch:
            fresh, old = Path(scratch) / "new", Path(scratch) / "old"
            yield fresh
            if path.exists():
                os.replace(path, old)
            try:
                os.replace(fresh, path)
            except OSError:
                if old.exists():
                    os.replace(old, path)
                raise
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise output_error(path, error) from error


def _is_in_image(path: Path) -> bool:
    """Tell whether `path` is a place for labels of an OME-Zarr image.

    An empty group in place of the image, as some viewers leave beside labels that they open, is
    none.
    """
    told = path.parent.parent / "zarr.json"
    if path.parent.name != "labels" or not told.is_file():
        return False
    try:
        return "multiscales" in json.loads(told.read_bytes())["attributes"]["ome"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _enter(path: Path) -> None:
    """Add the labels to the list of those of their image."""
    import zarr

    try:
        group = zarr.open_group(path.parent, mode="a", zarr_format=3)
        told = dict(group.attrs.get("ome", {}))
        told["labels"] = list(dict.fromkeys([*told.get("labels", []), path.name]))
        group.attrs["ome"] = {"version": "0.5", **told}
    except OSError as error:
        raise output_error(path, error) from error


def read(path: Path, image: Image | None = None) -> Imported:
    """Read labels of OME-Zarr 0.4 or 0.5: a label image, or an image with one label image in it.

    Raises
    ------
    DataError
        If zarr is not installed, the folder is damaged, or it holds several label images.
    """
    if find_spec("zarr") is None:
        raise DataError(f"{_INSTALL}.")
    import zarr

    with wording(path, "OME-Zarr of labels"):
        group = zarr.open_group(path, mode="r")
        if "image-label" not in _told(group) and "labels" in group:
            names = _told(group["labels"])["labels"]
            if len(names) != 1:
                raise DataError(
                    f"'{path.name}' holds {len(names)} label images: give one of "
                    f"{', '.join(f'labels/{name}' for name in names)}."
                )
            group = group["labels"][names[0]]
        multiscale = _told(group)["multiscales"][0]
        data = np.asarray(group[multiscale["datasets"][0]["path"]][...])
        own = group.attrs.get(PROVENANCE_KEY)
        values = own if own is not None else _frame_values(multiscale, data.shape, name_of(path))
        frame = known_frame(values, image, path)
        return Imported(frame.labels(_numbers(data.reshape(frame.shape))))


def _told(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    told: dict[str, Any] = attributes.get("ome", attributes)  # 0.4 has them without "ome"
    return told


def _frame_values(multiscale: dict[str, Any], shape: tuple[int, ...], name: str) -> dict[str, Any]:
    axes = [str(axis["name"]).upper() for axis in multiscale["axes"]]
    transforms = multiscale["datasets"][0].get("coordinateTransformations", [])
    scale = next((one["scale"] for one in transforms if one["type"] == "scale"), [1.0] * len(axes))
    size = {
        letter: step * _MICROMETRES[axis["unit"]]
        for letter, step, axis in zip(axes, scale, multiscale["axes"], strict=True)
        if axis.get("unit") in _MICROMETRES
    }
    kept = [k for k, letter in enumerate(axes) if letter != "C" or shape[k] != 1]
    return {
        "axes": "".join(axes[k] for k in kept),
        "shape": [shape[k] for k in kept],
        "pixel_size_um": (size["Y"], size["X"]) if {"Y", "X"} <= set(size) else None,
        "z_step_um": size.get("Z"),
        "name": name,
    }


def _numbers(data: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    if data.dtype.kind not in "bui" or not 0 <= data.min() <= data.max() <= np.iinfo(np.int32).max:
        raise DataError("The OME-Zarr does not hold object numbers: choose labels.")
    return data.astype(np.int32)


def _accepts(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


IMPORTERS.register("ome-zarr")(Importer("Labels as OME-Zarr", ("",), _accepts, read))
