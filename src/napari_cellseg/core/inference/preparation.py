"""How an image plane becomes what a network sees: channels, intensities, object size.

Training and prediction call the same two functions here, so that a network never meets
intensities that it was not trained on. Intensities are scaled plane by plane: a slice of a stack
gets the same result alone as within its stack.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from napari_cellseg.core.components import Params

SAMPLED_PIXELS = 2**18
"""Percentiles of a larger plane come from every k-th row and column, about this many pixels."""

_SMALLEST = 1e-300  # a range whose inverse would overflow is as good as none
_LARGEST = float(np.finfo(np.float32).max)  # float64 beyond it is as good as infinite


class Normalization(Params):
    """Which intensities become 0 and 1."""

    low: float = Field(
        1.0,
        ge=0,
        le=50,
        title="Black point",
        description="Percentile of the intensities that becomes 0; what is darker is cut off.",
        json_schema_extra={"unit": "%"},
    )
    high: float = Field(
        99.8,
        ge=50,
        le=100,
        title="White point",
        description="Percentile of the intensities that becomes 1; what is brighter is cut off.",
        json_schema_extra={"unit": "%"},
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("the black point must lie below the white point")
        return self


class Preparation(Normalization):
    """What is done to an image before the network sees it."""

    channels: tuple[int, ...] | None = Field(
        None,
        title="Channels",
        description="Indices of the channels that the model is given; empty takes all.",
    )
    diameter: float | None = Field(
        None,
        gt=0,
        le=10_000,
        title="Object diameter",
        description=(
            "Typical diameter of your objects. The image is rescaled to the size that the model "
            "was trained on; empty lets 'Rescaling' decide."
        ),
        json_schema_extra={"unit": "px"},
    )
    rescale: Literal["auto", "off"] = Field(
        "auto",
        title="Rescaling",
        description=(
            "With no diameter given, 'auto' measures the objects of a first result and runs again "
            "at a fitting scale if they are far from the model's size; 'off' never rescales."
        ),
    )


def percentile_limits(
    plane: npt.NDArray[np.generic], low: float, high: float, joint: bool = False
) -> npt.NDArray[np.float64]:
    """Return the intensities of each channel that become 0 and 1.

    NaN and infinite pixels do not count. Where the two percentiles coincide (a few small objects on
    an even background) minimum and maximum take their place. Planes of more than
    `SAMPLED_PIXELS` pixels are sampled on a fixed grid: the result depends on the plane alone.

    Parameters
    ----------
    plane
        Intensities (Y, X, C), any real dtype and byte order.
    low, high
        Percentiles in [0, 100].
    joint
        Take one pair of limits over all channels, so that colours keep their hue.

    Returns
    -------
    Limits (C, 2); both 0 for a channel without a finite pixel.
    """
    step = max(1, math.ceil(math.sqrt(plane.shape[0] * plane.shape[1] / SAMPLED_PIXELS)))
    channels = plane.shape[2]
    if joint:
        one = _limits(plane, low, high, step)
        return np.repeat(one[None], channels, axis=0)
    return np.stack([_limits(plane[..., c], low, high, step) for c in range(channels)])


def _limits(
    values: npt.NDArray[np.generic], low: float, high: float, step: int
) -> npt.NDArray[np.float64]:
    sample = _finite(values[::step, ::step])
    limits = np.percentile(sample, (low, high)) if sample.size else np.zeros(2)
    if limits[0] >= limits[1]:
        every = _finite(values)
        limits = np.array([every.min(), every.max()]) if every.size else np.zeros(2)
    return limits.astype(np.float64)


def _finite(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    flat = np.asarray(values, dtype=np.float64).ravel()
    finite = np.abs(flat) <= _LARGEST
    return flat if finite.all() else flat[finite]


def normalize(
    plane: npt.NDArray[np.generic], limits: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Scale intensities linearly so that the limits become 0 and 1, and clip there.

    Pixel by pixel: any crop of a plane gives the crop of the result.

    Parameters
    ----------
    plane
        Intensities (Y, X, C), any real dtype and byte order.
    limits
        Limits (C, 2) of `percentile_limits`.

    Returns
    -------
    float32 (Y, X, C) in [0, 1]; NaN and infinite pixels, and channels whose limits coincide, are 0.
    """
    low, high = limits[:, 0], limits[:, 1]
    span = high - low
    usable = span > _SMALLEST
    gain = np.where(usable, 1 / np.where(usable, span, 1), 0)
    # float32 is enough for what it holds exactly; wider integers would lose small differences
    kind, size = plane.dtype.kind, plane.dtype.itemsize
    narrow = size <= (4 if kind == "f" else 2) and gain.max(initial=0) < 1e30
    work = np.float32 if narrow else np.float64
    scaled: npt.NDArray[Any] = plane.astype(work)
    if kind == "f":
        unusable = ~(np.abs(scaled) <= _LARGEST)
        if unusable.any():
            np.copyto(scaled, low.astype(work), where=unusable)
    with np.errstate(over="ignore"):
        scaled -= low.astype(work)
        scaled *= gain.astype(work)
    return np.clip(scaled, 0, 1, out=scaled).astype(np.float32, copy=False)
