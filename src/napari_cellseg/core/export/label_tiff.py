"""Labels as calibrated OME-TIFF with provenance, for ImageJ, QuPath and napari."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.export._frame import Frame, known_frame
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.reading import PROVENANCE_KEY, SUFFIXES, read_labels

_CLASSIC_BYTES = 2**32 - 2**25  # a classic TIFF has 32-bit offsets; this leaves room for tags


class LabelTiffParams(components.Params):
    """Settings of the label TIFF."""

    dialect: Literal["ome", "imagej"] = Field(
        "ome",
        title="Kind of TIFF",
        description=(
            "OME-TIFF is read by most programs, also by ImageJ with Bio-Formats; ImageJ's own kind "
            "opens there with its stack and scale, but takes no object numbers above 65535."
        ),
    )

    dtype: Literal["auto", "uint8", "uint16", "uint32"] = Field(
        "auto",
        title="Number type",
        description=(
            "How object numbers are stored; 'auto' takes 16 bits, or 32 where there are more than "
            "65535. A type that is too small for the numbers is refused."
        ),
    )


@EXPORTERS.register("label-tiff")
class LabelTiff:
    """One TIFF page a plane, losslessly compressed, BigTIFF where needed.

    OME-TIFF unless asked otherwise: ImageJ's own dialect knows no 32-bit integers and so no more
    than 65,535 objects. The resolution tags calibrate it for programs that do not read OME-XML.
    """

    title: ClassVar[str] = "Label image (TIFF)"
    suffix: ClassVar[str] = ".tif"
    Params: ClassVar[type[components.Params]] = LabelTiffParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = LabelTiffParams.model_validate((params or LabelTiffParams()).model_dump())

    def write(
        self,
        labels: Labels,
        path: Path,
        image: Image | None = None,
        table: Table | None = None,
        *,
        sync: bool = True,
    ) -> None:
        """Write `labels` to `path`, whole or not at all; an existing file is replaced.

        `sync` is that of `atomic_file`.

        Raises
        ------
        OutputError
            If the chosen number type is too small, the folder missing or read-only, or the disk
            full. An earlier file of that name is then still as it was.
        """
        import tifffile

        data = labels.data.astype(self._dtype(labels), copy=False)
        kind = (
            self._imagej(labels, data) if self._params.dialect == "imagej" else _ome(labels, data)
        )
        with atomic_file(path, sync=sync) as stream:
            tifffile.imwrite(
                stream, data, photometric="minisblack", software="napari-cellseg", **kind
            )

    def _imagej(self, labels: Labels, data: npt.NDArray[Any]) -> dict[str, Any]:
        if data.dtype.itemsize > 2 or data.nbytes > _CLASSIC_BYTES:
            raise OutputError(
                "ImageJ's own TIFF takes object numbers up to 65535 in at most 4 GB: choose the "
                "kind 'ome', or renumber the objects."
            )
        metadata: dict[str, Any] = {"axes": labels.axes, "Info": _own(labels)}
        options: dict[str, Any] = {"imagej": True, "metadata": metadata}
        if labels.pixel_size is not None:
            y, x = labels.pixel_size
            metadata["unit"] = "um"
            options["resolution"] = (1 / x, 1 / y)
            if labels.z_step is not None:
                metadata["spacing"] = labels.z_step
        return options

    def _dtype(self, labels: Labels) -> np.dtype[Any]:
        highest = int(labels.data.max())
        if labels.data.min() < 0:
            raise OutputError("Object numbers below 0 cannot be stored: renumber the objects.")
        if self._params.dtype == "auto":
            return np.dtype(np.uint16 if highest <= 65535 else np.uint32)
        dtype = np.dtype(self._params.dtype)
        if highest > np.iinfo(dtype).max:
            raise OutputError(
                f"Object numbers up to {highest} do not fit into {dtype}: choose a larger number "
                "type or 'auto'."
            )
        return dtype


def write_labels(labels: Labels, path: str | Path, *, sync: bool = True) -> None:
    """Write `labels` as a label TIFF with default settings; `sync` is that of `atomic_file`.

    Raises
    ------
    OutputError
        As of `LabelTiff.write`.
    """
    LabelTiff().write(labels, Path(path), sync=sync)


def _ome(labels: Labels, data: npt.NDArray[Any]) -> dict[str, Any]:
    return {
        "ome": True,
        "bigtiff": data.nbytes > _CLASSIC_BYTES,
        "compression": "zlib",
        "metadata": _metadata(labels),
        **_resolution(labels),
    }


def _own(labels: Labels) -> str:
    # The axes once more, because readers drop those of length 1. ASCII: JSON escapes cannot be
    # broken by a reader that assumes another encoding.
    return json.dumps(
        {"axes": labels.axes, PROVENANCE_KEY: dict(labels.provenance)}, allow_nan=False
    )


def _metadata(labels: Labels) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "axes": labels.axes,
        "Name": labels.name,
        "Description": _own(labels),
    }
    if labels.pixel_size is not None:
        y, x = labels.pixel_size
        metadata |= {"PhysicalSizeY": y, "PhysicalSizeX": x}
        metadata |= {"PhysicalSizeYUnit": "µm", "PhysicalSizeXUnit": "µm"}
    if labels.z_step is not None:
        metadata |= {"PhysicalSizeZ": labels.z_step, "PhysicalSizeZUnit": "µm"}
    return metadata


def _resolution(labels: Labels) -> dict[str, Any]:
    if labels.pixel_size is None:
        return {}
    y, x = labels.pixel_size
    return {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}


def read(path: Path, image: Image | None = None) -> Imported:
    """Read a label image of any kind that `read_labels` takes.

    Raises
    ------
    ImageError
        As of `read_labels`.
    DataError
        If they are not of the size of `image`.
    """
    labels = read_labels(path)
    known_frame(Frame.of(labels).model_dump(), image, path)  # of the same size as the image
    return Imported(labels)


IMPORTERS.register("label-image")(
    Importer("Label image (TIFF, PNG, NumPy, cellpose)", SUFFIXES, Path.is_file, read)
)
