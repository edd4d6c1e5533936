"""What a file must say besides its objects, so that they become the same labels again."""

from __future__ import annotations

import csv
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import CellsegError, DataError, SettingsError
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.reading import PROVENANCE_KEY, stem

# What a damaged or foreign file leads to in the libraries that read it.
_DAMAGE = (
    KeyError, TypeError, ValueError, IndexError, AttributeError, EOFError, OverflowError,
    RecursionError, struct.error, csv.Error,
)  # fmt: skip


class Plane(NamedTuple):
    """Place of a plane in a stack: index in the leading axes; T and Z, None where absent."""

    at: tuple[int, ...]
    t: int | None
    z: int | None


class Frame(components.Params):
    """Size, calibration and origin of labels.

    Attributes
    ----------
    axes, shape, name, provenance
        As of the labels.
    pixel_size_um, z_step_um
        Height and width of a pixel, and distance of slices, in µm.
    edited, accepted
        Numbers of the objects that a person edited, and of those that one accepted as they are.
    """

    axes: str
    shape: tuple[int, ...]
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None
    name: str = "labels"
    provenance: dict[str, Any] = Field(default_factory=dict)
    edited: tuple[int, ...] = ()
    accepted: tuple[int, ...] = ()

    @classmethod
    def of(cls, labels: Labels) -> Self:
        """Return the frame of labels."""
        return cls(
            axes=labels.axes,
            shape=labels.data.shape,
            pixel_size_um=labels.pixel_size,
            z_step_um=labels.z_step,
            name=labels.name,
            provenance=dict(labels.provenance),
            edited=_decided(labels.provenance, "edited"),
            accepted=_decided(labels.provenance, "accepted"),
        )

    @classmethod
    def like(cls, image: Image) -> Self:
        """Return the frame of labels of an image."""
        return cls(
            axes=image.leading_axes + "YX",
            shape=(*image.leading, image.size("Y"), image.size("X")),
            pixel_size_um=image.pixel_size,
            z_step_um=image.z_step,
            name=image.name,
        )

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.shape[-2], self.shape[-1]

    def planes(self) -> Iterator[Plane]:
        """Iterate over all planes, T slowest."""
        for index in np.ndindex(self.shape[:-2]):
            place = dict(zip(self.axes, index, strict=False))
            yield Plane(index, place.get("T"), place.get("Z"))

    def index(self, t: int | None, z: int | None) -> tuple[int, ...]:
        """Return the index of the plane at T and Z; axes that there are not, are ignored.

        Raises
        ------
        DataError
            If there is no such plane.
        """
        place = {"T": t or 0, "Z": z or 0}
        index = tuple(place[axis] for axis in self.axes[:-2])
        if any(not 0 <= i < n for i, n in zip(index, self.shape, strict=False)):
            raise DataError(
                f"An object lies in plane {place}, which an image of shape {self.shape} does not "
                "have: choose the image that the objects were outlined in."
            )
        return index

    def labels(self, data: npt.NDArray[np.int32]) -> Labels:
        """Return data of this shape as labels."""
        return Labels(
            data, self.axes, self.pixel_size_um, self.z_step_um, self.name, self.provenance
        )

    def text(self) -> str:
        """Return JSON in ASCII, which no reader can misread for another encoding."""
        return json.dumps(self.model_dump(mode="json"), allow_nan=False)


def known_frame(values: Any, image: Image | None, path: Path) -> Frame:
    """Return what the file says about its frame, or the frame of the image where it says nothing.

    Raises
    ------
    DataError
        If neither tells, or they contradict each other.
    """
    if values is None:
        if image is None:
            raise DataError(
                f"'{path.name}' does not say how large its image is: give the image too (--image)."
            )
        return Frame.like(image)
    try:
        frame = Frame.parse(values)
        frame.labels(np.broadcast_to(np.int32(0), frame.shape))
    except CellsegError as error:
        raise DataError(
            f"What '{path.name}' says about its image is damaged ({error}): export it again."
        ) from error
    if image is not None and Frame.like(image).plane_shape != frame.plane_shape:
        raise DataError(
            f"'{path.name}' belongs to an image of shape {frame.shape}, and '{image.name}' has "
            f"{image.shape}: choose the image that the objects were outlined in."
        )
    return frame


@contextmanager
def wording(path: Path, title: str) -> Iterator[None]:
    """Turn what a damaged or foreign file leads to into a sentence.

    Raises
    ------
    DataError
        In place of errors of access, of decoding, and of missing or wrong entries.
    """
    try:
        yield
    except (DataError, SettingsError):
        raise
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be opened ({error.strerror or error}): check that you may read it."
        ) from error
    except _DAMAGE as error:
        # What could not be decoded stands in its error, and may be the whole file.
        told = error.reason if isinstance(error, UnicodeDecodeError) else repr(error)
        raise DataError(
            f"'{path.name}' is damaged or no {title} ({told}): export it again."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; `wording` words what can go wrong."""
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise TypeError("it holds no JSON object")
    return found


def write_beside(path: Path, content: bytes, frame: Frame, **more: Any) -> None:
    """Write a file of a format that can say nothing about itself, and ``PATH.json`` that does.

    Raises
    ------
    OutputError
        As of `atomic_file`.
    """
    with atomic_file(path) as stream:
        stream.write(content)
    told = {
        "sha256": hashlib.sha256(content).hexdigest(),
        PROVENANCE_KEY: frame.model_dump(mode="json"),
        **more,
    }
    with atomic_file(path.with_name(path.name + ".json")) as stream:
        stream.write(json.dumps(told, indent=1, allow_nan=False).encode())


def read_beside(path: Path, content: bytes) -> dict[str, Any]:
    """Return what ``PATH.json`` tells, ``{}`` if it is missing or about other content."""
    try:
        told = read_json(path.with_name(path.name + ".json"))
    except (OSError, ValueError, TypeError):
        return {}
    return told if told.get("sha256") == hashlib.sha256(content).hexdigest() else {}


def name_of(path: Path) -> str:
    """Return what labels of a file are called."""
    return stem(path)


def _decided(provenance: Mapping[str, Any], decision: str) -> tuple[int, ...]:
    """Return the objects of which a person decided so, as kept with the labels."""
    kept = provenance.get("corrections")
    states = kept.get("states") if isinstance(kept, Mapping) else None
    if not isinstance(states, Mapping):
        return ()
    pairs = zip(states.get("id", ()), states.get("decision", ()), strict=False)
    return tuple(int(label) for label, made in pairs if made == decision)
