"""A picture of one plane with the objects drawn over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.export._frame import Frame
from napari_cellseg.core.export.registry import EXPORTERS, Table
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.reading import PROVENANCE_KEY

_DARKEST, _BRIGHTEST = 0.5, 99.8  # percentiles of the pixels that are shown black and white
_SAMPLE = 2**20  # pixels from which the percentiles are taken
_GOLDEN = 0.61803398875  # successive multiples of it, modulo 1, keep apart from each other
_YELLOW = (255, 220, 0)


class OverlayParams(components.Params):
    """Settings of the overlay picture."""

    colours: Literal["by object", "yellow"] = Field(
        "by object", title="Colours", description="A colour for each object, or one for all."
    )
    fill: float = Field(
        0.0, ge=0, le=1, title="Fill", description="How strongly objects are tinted, 0 to 1."
    )
    channel: int = Field(
        0,
        ge=0,
        title="Channel",
        description="Which channel is shown; colour images are as they are.",
    )
    t: int = Field(0, ge=0, title="Time point", description="Which time point is shown, from 0.")
    z: int = Field(0, ge=0, title="Slice", description="Which slice is shown, from 0.")


@EXPORTERS.register("overlay")
class OverlayPng:
    """Outlines, on request tinted objects, over the image, or over black without one.

    What made the labels is in the text ``napari-cellseg`` of the PNG.
    """

    title: ClassVar[str] = "Picture with outlines (PNG)"
    suffix: ClassVar[str] = ".png"
    Params: ClassVar[type[components.Params]] = OverlayParams

    def __init__(self, params: components.Params | None = None) -> None:
        self._params = OverlayParams.model_validate((params or OverlayParams()).model_dump())

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Draw the chosen plane.

        Raises
        ------
        OutputError
            If there is no such plane or channel, the image is of another size, or the file cannot
            be written.
        """
        from PIL import Image as Picture
        from PIL.PngImagePlugin import PngInfo

        frame = Frame.of(labels)
        place = {"T": self._params.t, "Z": self._params.z}
        self._check(frame, image)
        plane = labels.data[tuple(place[axis] for axis in frame.axes[:-2])]
        pixels = self.draw(plane, self._background(frame, image))
        told = PngInfo()
        told.add_itxt(PROVENANCE_KEY, frame.text(), zip=True)
        with atomic_file(path) as stream:
            Picture.fromarray(pixels).save(stream, "PNG", pnginfo=told)

    def draw(
        self, plane: npt.NDArray[Any], background: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        """Return a picture uint8 (Y, X, 3) of labels (Y, X) over a background (Y, X, 3)."""
        pixels = background.copy()
        inside = np.flatnonzero(plane)
        owner = plane.reshape(-1)[inside]
        colours = self._colours(owner)
        edge = _edge(plane).reshape(-1)[inside]
        flat = pixels.reshape(-1, 3)
        if self._params.fill:
            share = self._params.fill
            flat[inside] = np.rint((1 - share) * flat[inside] + share * colours).astype(np.uint8)
        flat[inside[edge]] = colours[edge]
        return pixels

    def _colours(self, owner: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        if self._params.colours == "yellow":
            return np.broadcast_to(np.array(_YELLOW, np.uint8), (len(owner), 3))
        hue = (owner * _GOLDEN) % 1.0
        # Hues at full saturation: three ramps, each a third of the circle apart.
        ramps = np.abs((hue[:, np.newaxis] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
        return np.asarray(np.rint(255 * (0.25 + 0.75 * np.clip(ramps, 0, 1))), np.uint8)

    def _check(self, frame: Frame, image: Image | None) -> None:
        place = {"T": self._params.t, "Z": self._params.z}
        for axis, at in place.items():
            size = frame.shape[frame.axes.index(axis)] if axis in frame.axes else 1
            if at >= size:
                raise OutputError(
                    f"There is no {axis} {at} in these labels: choose one below {size}."
                )
        if image is None:
            return
        if Frame.like(image).plane_shape != frame.plane_shape:
            raise OutputError(
                f"The image has the shape {image.shape} and the labels {frame.shape}: choose the "
                "image that the labels belong to."
            )
        for axis in image.leading_axes:
            if place[axis] >= image.size(axis):
                raise OutputError(f"The image has no {axis} {place[axis]}: choose another one.")
        if not image.rgb and self._params.channel >= image.size("C"):
            raise OutputError(
                f"There is no channel {self._params.channel} in '{image.name}': choose one below "
                f"{image.size('C')}."
            )

    def _background(self, frame: Frame, image: Image | None) -> npt.NDArray[np.uint8]:
        if image is None:
            return np.zeros((*frame.plane_shape, 3), np.uint8)
        place = {"T": self._params.t, "Z": self._params.z}
        index = tuple(place[axis] for axis in image.leading_axes)
        if image.rgb:
            pixels = image.plane(index)
            return pixels if pixels.dtype == np.uint8 else _to_bytes(pixels)
        return np.repeat(_to_bytes(image.plane(index, [self._params.channel])), 3, axis=-1)


def _edge(plane: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which pixels have a neighbour, of four, that is not of the same object."""
    edge = np.zeros(plane.shape, bool)
    down, across = plane[1:] != plane[:-1], plane[:, 1:] != plane[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge


def _to_bytes(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    values = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    step = max(1, values.size // _SAMPLE)
    low, high = np.percentile(values.reshape(-1)[::step], (_DARKEST, _BRIGHTEST))
    scaled = (values - low) * (255.0 / max(float(high - low), 1e-12))
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
