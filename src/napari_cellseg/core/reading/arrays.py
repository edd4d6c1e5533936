"""Arrays with more or less known axes to Image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.axes import guess_axes
from napari_cellseg.core.errors import ImageError


def image_from_array(
    data: Any,
    axes: str | None = None,
    *,
    guess: bool = False,
    pixel_size: tuple[float, float] | None = None,
    z_step: float | None = None,
    channel_names: tuple[str, ...] = (),
    name: str = "image",
    source: Path | None = None,
) -> Image:
    """Make an Image of an array.

    Parameters
    ----------
    data
        Array-like with ``shape``, ``dtype`` and indexing: numpy, dask, zarr.
    axes
        One letter a dimension: T, Z, C, Y, X, and S for the red, green, blue (and alpha)
        samples of a colour image; other letters mean "unknown". None: two dimensions are
        (Y, X); 8-bit with a last dimension of 3 or 4 is colour; else the shape must leave no doubt.
    guess
        Take the likeliest reading where there is doubt, and say so in ``Image.axes_note``.
    pixel_size, z_step
        In µm.
    channel_names, name, source
        As of `Image`.

    Raises
    ------
    ImageError
        If the axes are in doubt and `guess` is False, or do not fit the array.
    """
    data = data if hasattr(data, "dtype") and hasattr(data, "shape") else np.asarray(data)
    letters = axes.upper() if axes else "?" * data.ndim
    if axes is None and _looks_like_colour(data):
        letters = "?" * (data.ndim - 1) + "S"
    if len(letters) != data.ndim:
        raise ImageError(
            f"The axes '{letters}' do not fit '{name}' with its shape {tuple(data.shape)}: give "
            "one letter of T, Z, C, Y, X for each dimension, S for colour samples."
        )
    data, letters = _drop_unknown_ones(data, letters)
    data, letters, rgb = _colour_last(data, letters, name)
    note = ""
    if not set(letters) <= set("TZCYX"):
        found = guess_axes(data.shape, rgb=rgb)
        if found.ambiguous and not guess:
            raise ImageError(
                f"It is not clear what the axes of '{name}' are (shape {tuple(data.shape)}, "
                f"perhaps {found.axes}): say so with axes='{found.axes}' or the like."
            )
        letters, note = found.axes, found.reason if found.ambiguous else ""
    n_channels = data.shape[letters.index("C")] if "C" in letters else 1
    if rgb or len(channel_names) != n_channels:
        channel_names = ()
    return Image(
        data,
        letters,
        pixel_size,
        z_step if "Z" in letters else None,
        channel_names,
        rgb,
        name,
        source,
        note,
    )


def with_axes_of(image: Image, labels: Labels) -> Image:
    """Return an image of guessed axes with those of its labels, if it has the shape of these."""
    if not image.axes_note or image.rgb or image.shape != labels.data.shape:
        return image
    return replace(image, axes=labels.axes, axes_note="", channel_names=())


def _looks_like_colour(data: Any) -> bool:
    shape = tuple(data.shape)
    return (
        len(shape) >= 3
        and np.dtype(data.dtype) == np.uint8
        and shape[-1] in (3, 4)
        and min(shape[-3:-1]) > 4
    )


def _drop_unknown_ones(data: Any, letters: str) -> tuple[Any, str]:
    """Drop unnamed dimensions of length 1 while more than Y and X remain."""
    known = set("TZCYXS")
    for at in range(data.ndim - 3, -1, -1):
        if letters[at] not in known and data.shape[at] == 1:
            data = data[(slice(None),) * at + (0,)]
            letters = letters[:at] + letters[at + 1 :]
    return data, letters


def _colour_last(data: Any, letters: str, name: str) -> tuple[Any, str, bool]:
    """Settle the sample axis S: colour last without alpha, or plain channels."""
    if "S" not in letters:
        return data, letters, False
    at = letters.index("S")
    samples = data.shape[at]
    if "C" in letters:
        raise ImageError(
            f"'{name}' has channels of colour images (shape {tuple(data.shape)}): save each "
            "channel on its own."
        )
    if samples in (1, 2):  # grey, with or without alpha
        return data[(slice(None),) * at + (0,)], letters.replace("S", ""), False
    if samples not in (3, 4):
        return data, letters.replace("S", "C"), False
    if at != data.ndim - 1:
        data = np.moveaxis(np.asarray(data), at, -1)
    if samples == 4:
        data = data[..., :3]
    return data, letters.replace("S", "") + "C", True
