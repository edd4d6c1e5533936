"""A public-domain sample image as a model takes it, for self-tests and measurements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.inference.preparation import normalize, percentile_limits
from napari_cellseg.core.samples import load_sample
from napari_cellseg.core.zoo.card import Card

Pixels = npt.NDArray[np.generic]

_SIDE = 160


def sample_tile(card: Card, side: int = _SIDE) -> Pixels:
    """Return the middle of a sample image, (Y, X) or (Y, X, C), with the channels of a model."""
    if "gray" not in card.channels and "rgb" in card.channels:
        return middle(np.asarray(load_sample("tissue").data), side)
    tile = middle(np.asarray(load_sample("fluorescence").data), side)
    if "gray" in card.channels:
        return tile
    shifted = [np.roll(tile, 8 * channel, axis=1) for channel in range(card.in_channels)]
    return np.stack(shifted, axis=-1)


def sample_input(card: Card, side: int = _SIDE) -> npt.NDArray[np.float32]:
    """Return the same, normalised as the network of a model gets it, (1, C, Y, X)."""
    tile = sample_tile(card, side)
    pixels = tile[..., None] if tile.ndim == 2 else tile
    pixels = np.repeat(pixels, card.in_channels // pixels.shape[2], axis=2)
    scale = card.normalization
    limits = percentile_limits(pixels, scale.low, scale.high, "rgb" in card.channels)
    return np.ascontiguousarray(normalize(pixels, limits).transpose(2, 0, 1)[None])


def middle(tile: Pixels, side: int) -> Pixels:
    """Return the middle of an image (Y, X) or (Y, X, C), at most `side` px, in a plain dtype.

    Raises
    ------
    ImageError
        If it is no such image.
    """
    if tile.ndim not in (2, 3) or 0 in tile.shape:
        raise ImageError(
            f"A self-test needs one image (Y, X) or (Y, X, C), not an array of shape {tile.shape}."
        )
    rows, columns = (
        slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in tile.shape[:2]
    )
    part = tile[rows, columns]
    part = part[..., 0] if part.ndim == 3 and part.shape[2] == 1 else part
    return np.ascontiguousarray(part.astype(part.dtype.newbyteorder("=")))
