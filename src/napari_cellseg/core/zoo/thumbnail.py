"""The small picture of a bundle: an example image with the outlines of what the model finds."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.inference.preparation import normalize, percentile_limits
from napari_cellseg.core.zoo.card import Card

_OUTLINE = (255, 190, 0)


def draw_thumbnail(
    tile: npt.NDArray[np.generic], maps: Mapping[str, npt.NDArray[np.uint8]], card: Card
) -> bytes:
    """Return a PNG of an image, with its foreground outlined.

    Parameters
    ----------
    tile
        Image (Y, X) or (Y, X, C); of more than three channels the first three are shown.
    maps
        Probability maps (Y, X), 255 for 1; without "foreground" nothing is outlined.
    card
        Card of the model: its percentiles become black and white.
    """
    from PIL import Image

    pixels = tile[..., None] if tile.ndim == 2 else tile
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
    joint = pixels.shape[2] == 3 and "rgb" in card.channels
    limits = percentile_limits(pixels, card.normalization.low, card.normalization.high, joint)
    shown = np.rint(normalize(pixels, limits) * 255).astype(np.uint8)
    shown = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
    if "foreground" in maps:
        inside = np.pad(maps["foreground"] >= 128, 1)
        core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        shown[inside[1:-1, 1:-1] & ~core] = _OUTLINE
    stream = io.BytesIO()
    Image.fromarray(shown).save(stream, "PNG", optimize=True)
    return stream.getvalue()
