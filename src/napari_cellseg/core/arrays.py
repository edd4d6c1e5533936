"""Images and labels: an array with named axes and a pixel size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.axes import AxesGuess, check_axes, guess_axes
from napari_cellseg.core.errors import ChannelError, ImageError

__all__ = ["AxesGuess", "Image", "Labels", "guess_axes"]


def _check_sizes(*sizes: float | None) -> None:
    for size in sizes:
        if size is not None and not (math.isfinite(size) and size > 0):
            raise ImageError(f"A pixel size of {size} µm is impossible: give a positive number.")


@dataclass(frozen=True, eq=False)
class Image:
    """An image with named axes; the pixels may be in memory, on disk, dask or zarr.

    Attributes
    ----------
    data
        Array-like with ``shape``, ``dtype`` and basic indexing.
    axes
        One letter of ``"TZCYX"`` a dimension, in the order of the dimensions.
    pixel_size
        Height and width of a pixel in µm, or None if unknown.
    z_step
        Distance of the slices in µm, or None.
    channel_names
        One name a channel, or ``()``.
    rgb
        The channels are the red, green and blue samples of colours; axis C is the last one.
    name
        Shown to the user and used to name results.
    source
        File that it was read from, or None.
    axes_note
        Why the axes are only a guess, in one sentence; "" if they are known.

    Raises
    ------
    ImageError
        If axes and shape disagree, there is no pixel, or the values are not real numbers.
    """

    data: Any
    axes: str
    pixel_size: tuple[float, float] | None = None
    z_step: float | None = None
    channel_names: tuple[str, ...] = ()
    rgb: bool = False
    name: str = "image"
    source: Path | None = None
    axes_note: str = ""

    def __post_init__(self) -> None:
        check_axes(self.axes, self.shape, "TZCYX")
        kind = np.dtype(self.data.dtype).kind
        if kind not in "buif":
            raise ImageError(
                f"Pixels of type {self.data.dtype} cannot be segmented: convert the image to "
                "integers or floating-point numbers."
            )
        if self.rgb and not (self.axes.endswith("C") and self.shape[-1] == 3):
            raise ImageError(
                f"A colour image needs 3 samples along its last axis, not shape {self.shape} "
                f"with axes {self.axes}: drop the alpha channel or turn colour off."
            )
        if self.channel_names and len(self.channel_names) != self.size("C"):
            raise ImageError(
                f"There are {len(self.channel_names)} channel names for {self.size('C')} "
                "channels: give one each, or none."
            )
        _check_sizes(*(self.pixel_size or ()), self.z_step)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension, in the order of `axes`."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        dtype: np.dtype[Any] = np.dtype(self.data.dtype)
        return dtype.newbyteorder("=")

    def size(self, axis: str) -> int:
        """Return the length of `axis`, 1 if the image has no such axis."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def leading_axes(self) -> str:
        """Those of T and Z that the image has, in this order."""
        return "".join(axis for axis in "TZ" if axis in self.axes)

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the `leading_axes`: ``()`` for a single plane."""
        return tuple(self.size(axis) for axis in self.leading_axes)

    def planes(self) -> Iterator[tuple[int, ...]]:
        """Iterate over the index of every plane, T slowest; ``()`` once for a single plane."""
        return product(*(range(n) for n in self.leading))

    def plane(
        self, index: tuple[int, ...] = (), channels: Sequence[int] | None = None
    ) -> npt.NDArray[Any]:
        """Load one plane.

        Parameters
        ----------
        index
            Position along the `leading_axes`.
        channels
            Channels to keep, in this order; None for all.

        Returns
        -------
        ndarray, shape (Y, X, C)
            Pixels in the type of the image; only this plane is read from disk.

        Raises
        ------
        ChannelError
            If the image has no such channel.
        """
        if len(index) != len(self.leading):
            raise IndexError(f"plane index {index} does not fit the leading axes {self.leading}")
        if channels is not None:
            for channel in channels:
                if not 0 <= channel < self.size("C"):
                    raise ChannelError(
                        f"There is no channel {channel}: '{self.name}' has {self.size('C')}, "
                        "numbered from 0."
                    )
        position = dict(zip(self.leading_axes, index, strict=True))
        pixels = np.asarray(self.data[tuple(position.get(axis, slice(None)) for axis in self.axes)])
        rest = [axis for axis in self.axes if axis not in position]
        if "C" not in rest:
            rest.append("C")
            pixels = pixels[..., np.newaxis]
        pixels = pixels.transpose([rest.index(axis) for axis in "YXC"])
        if channels is not None:
            pixels = pixels[..., list(channels)]
        return pixels.astype(self.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Labels:
    """An instance map: every object has its own positive number, 0 is background.

    Attributes
    ----------
    data
        int32 array of shape (T?, Z?, Y, X).
    axes
        ``"YX"``, ``"ZYX"``, ``"TYX"`` or ``"TZYX"``.
    pixel_size, z_step, name
        As of the image.
    provenance
        What made them, ready for JSON; empty if unknown.

    Raises
    ------
    ImageError
        If axes and shape disagree, there is no pixel, or the numbers are not int32.
    """

    data: npt.NDArray[np.int32]
    axes: str
    pixel_size: tuple[float, float] | None = None
    z_step: float | None = None
    name: str = "labels"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_axes(self.axes, self.data.shape, "TZYX")
        if self.axes != "".join(axis for axis in "TZYX" if axis in self.axes):
            raise ImageError(f"Labels have their axes in the order TZYX, not {self.axes}.")
        if self.data.dtype != np.int32:
            raise ImageError(f"Labels are int32 numbers, not {self.data.dtype}: convert them.")
        _check_sizes(*(self.pixel_size or ()), self.z_step)

    @property
    def n_objects(self) -> int:
        """Number of different objects."""
        highest = int(self.data.max())
        if highest > self.data.size:  # sparse numbers: a table of them all could fill the memory
            return int(np.count_nonzero(np.unique(self.data) > 0))
        seen = np.zeros(max(highest, 0) + 1, dtype=bool)
        seen[np.maximum(self.data, 0).ravel()] = True
        return int(seen[1:].sum())
