"""Binary masks with 64 pixels in a word: thresholds and morphology at memory speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_ONE, _LAST = np.uint64(1), np.uint64(63)
_BLOCK = 1 << 19  # pixels packed at a time, so that the intermediate bytes stay in the cache


def pack_above(image: npt.NDArray[Any], threshold: int) -> Words:
    """Pack ``image > threshold``, (Y, X), to words (Y, ceil(X / 64)), lowest bit leftmost."""
    height, width = image.shape
    packed = np.zeros((height, (width + 63) // 64 * 8), np.uint8)
    rows = max(1, _BLOCK // max(width, 1))
    for top in range(0, height, rows):
        above = image[top : top + rows] > threshold
        packed[top : top + rows, : (width + 7) // 8] = np.packbits(above, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, width: int) -> npt.NDArray[np.uint8]:
    """Return the mask as 0 and 1, (Y, X)."""
    as_bytes = words.astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=width, bitorder="little")


def inverse(words: Words, width: int) -> Words:
    """Return the complement; bits beyond the width stay 0."""
    return _clip(~words, width)


def grow_once(words: Words, width: int, *, square: bool) -> Words:
    """Add the 4 neighbours of a mask, or all 8 if `square`; outside the picture is background."""
    tall = words.copy()
    tall[1:] |= words[:-1]
    tall[:-1] |= words[1:]
    source = tall if square else words
    wide = tall | (source << _ONE)
    wide |= source >> _ONE
    wide[:, 1:] |= source[:, :-1] >> _LAST
    wide[:, :-1] |= source[:, 1:] << _LAST
    return _clip(wide, width)


def shrink_once(words: Words, width: int, *, square: bool) -> Words:
    """Take away what has background among its neighbours; outside the picture is foreground."""
    return inverse(grow_once(inverse(words, width), width, square=square), width)


def dilate(words: Words, width: int, radius: int) -> Words:
    """Grow a mask by an octagon of `radius` pixels.

    Steps with 4 and with 8 neighbours take turns, which keeps round things round.
    """
    for step in range(radius):
        words = grow_once(words, width, square=step % 2 == 1)
    return words


def erode(words: Words, width: int, radius: int) -> Words:
    """Shrink a mask by an octagon of `radius` pixels."""
    return inverse(dilate(inverse(words, width), width, radius), width)


def _clip(words: Words, width: int) -> Words:
    if width % 64:
        words[:, -1] &= (_ONE << np.uint64(width % 64)) - _ONE
    return words
