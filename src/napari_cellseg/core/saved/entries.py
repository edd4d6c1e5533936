"""What stands in the session.json of a saved work; everything else of it are arrays."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from napari_cellseg.core.components import Params

SCHEMA_VERSION = 1
SESSION_FILE = "session.json"

_ARRAY_NAME = re.compile(r"[a-z]+(?:/[a-z0-9_-]{1,80}){0,2}\.npy")
_TYPES = ("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")

PixelSize = tuple[float, float] | None
Box = tuple[tuple[str, int, int], ...]


def _checked_name(name: str) -> str:
    if not _ARRAY_NAME.fullmatch(name):
        raise ValueError(f"'{name}' is no name of an array")
    return name


ArrayName = Annotated[str, AfterValidator(_checked_name)]


class ArrayEntry(Params):
    """Type and shape of an array, which the file of that array must have too."""

    dtype: Literal[_TYPES]  # type: ignore[valid-type]
    shape: tuple[Annotated[int, Field(ge=0)], ...]


class ImageReference(Params):
    """Which image the labels belong to.

    Attributes
    ----------
    name
        What it is called on screen.
    path, beside
        Its file, absolute and as seen from the saved work's folder; "" if it never had one.
    file
        Name of the file.
    axes, shape, dtype, rgb, channel_names, pixel_size, z_step
        As of `Image`.
    sha256
        Hash of its pixels, see `pixels_sha256`.
    pixels
        The array that holds its pixels, if they are in the saved work itself.
    """

    name: str
    path: str = ""
    beside: str = ""
    file: str = ""
    axes: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str
    rgb: bool = False
    channel_names: tuple[str, ...] = ()
    pixel_size: PixelSize = None
    z_step: float | None = None
    pixels: ArrayName | None = None


class LabelsEntry(Params):
    """Labels without their pixels; `provenance` holds what was decided about them too."""

    name: str
    axes: str
    pixel_size: PixelSize = None
    z_step: float | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)


class InstancesEntry(Params):
    """Candidates of one plane, see `Instances`."""

    plane: tuple[int, ...]
    shape: tuple[int, int]
    boxes: ArrayName
    scores: ArrayName
    masks: ArrayName


class PredictionEntry(Params):
    """A prediction without its arrays, whose names stand in place of them."""

    axes: str
    scale: float
    device: str
    steps: tuple[str, ...] = ()
    maps: dict[str, ArrayName] = Field(default_factory=dict)
    classes: dict[str, ArrayName] = Field(default_factory=dict)
    instances: tuple[InstancesEntry, ...] = ()


class WorkEntry(Params):
    """All of a saved work but its arrays, of which `arrays` tells type and shape."""

    schema_version: Literal[1] = 1
    version: str
    saved: str
    labels: LabelsEntry
    image: ImageReference | None = None
    recipe: dict[str, Any] | None = None
    prediction: PredictionEntry | None = None
    mask: ArrayName | None = None
    box: Box = ()
    history: tuple[dict[str, Any], ...] = ()
    view: dict[str, Any] = Field(default_factory=dict)
    arrays: dict[ArrayName, ArrayEntry]
