"""Labels as calibrated OME-TIFF with provenance, for ImageJ, QuPath and napari."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.export.registry import EXPORTERS
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.reading import PROVENANCE_KEY

_CLASSIC_BYTES = 2**32 - 2**25  # a classic TIFF has 32-bit offsets; this leaves room for tags


class LabelTiffParams(components.Params):
    """Settings of the label TIFF."""

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

    OME-TIFF rather than ImageJ's own dialect, which knows no 32-bit integers and so no more than
    65,535 objects; the resolution tags calibrate it for programs that do not read OME-XML.
    """

    title: ClassVar[str] = "Label image (TIFF)"
    suffix: ClassVar[str] = ".tif"
    Params: ClassVar[type[components.Params]] = LabelTiffParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = LabelTiffParams.model_validate((params or LabelTiffParams()).model_dump())

    def write(self, labels: Labels, path: Path, image: Image | None = None) -> None:
        """Write `labels` to `path`, whole or not at all; an existing file is replaced.

        Raises
        ------
        OutputError
            If the chosen number type is too small, the folder missing or read-only, or the disk
            full. An earlier file of that name is then still as it was.
        """
        import tifffile

        data = labels.data.astype(self._dtype(labels), copy=False)
        with atomic_file(path) as stream:
            tifffile.imwrite(
                stream,
                data,
                ome=True,
                bigtiff=data.nbytes > _CLASSIC_BYTES,
                photometric="minisblack",
                compression="zlib",
                software="napari-cellseg",
                metadata=_metadata(labels),
                **_resolution(labels),
            )

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


def write_labels(labels: Labels, path: str | Path) -> None:
    """Write `labels` as a label TIFF with default settings.

    Raises
    ------
    OutputError
        As of `LabelTiff.write`.
    """
    LabelTiff().write(labels, Path(path))


def _metadata(labels: Labels) -> dict[str, Any]:
    # The axes once more, because readers of OME drop those of length 1.
    own = {"axes": labels.axes, PROVENANCE_KEY: dict(labels.provenance)}
    metadata: dict[str, Any] = {"axes": labels.axes, "Name": labels.name}
    # ASCII: JSON escapes cannot be broken by a reader that assumes another encoding.
    metadata["Description"] = json.dumps(own, allow_nan=False)
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
