"""Masks as short text: where runs of pixels begin and end."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError

BoolArray = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

_NUMBER = np.dtype("<i8")


def encode(mask: npt.NDArray[np.bool_ | np.uint8]) -> str:
    """Return a mask, read in C order, as text; whatever is not 0 belongs to it.

    The text is base64 of zlib of the ends of all runs (start, stop, start, ...), 8-byte little
    endian integers, of which zlib leaves little.
    """
    flat = np.ascontiguousarray(mask).reshape(-1).astype(bool, copy=False)
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        ends = np.append(0, ends)
    if flat.size and flat[-1]:
        ends = np.append(ends, flat.size)
    return _to_text(ends)


def encode_positions(positions: Positions) -> str:
    """Return flat positions, ascending and each once, as `encode` writes their mask."""
    breaks = np.flatnonzero(np.diff(positions) != 1)
    starts = positions[np.append(0, breaks + 1)] if positions.size else positions
    stops = positions[np.append(breaks, positions.size - 1)] + 1 if positions.size else positions
    return _to_text(np.stack([starts, stops], axis=1).reshape(-1))


def decode(text: str, shape: Sequence[int]) -> BoolArray:
    """Return the mask of that shape that `encode` wrote.

    Raises
    ------
    DataError
        If the text is no mask, or one of another size.
    """
    size = math.prod(shape)
    ends = _from_text(text, size)
    lengths = np.diff(ends, prepend=0, append=size)
    inside = np.arange(lengths.size) % 2 == 1
    return np.repeat(inside, lengths).reshape(tuple(shape))


def decode_positions(text: str, size: int) -> Positions:
    """Return the flat positions, ascending, of the mask of `size` pixels that `encode` wrote.

    Raises
    ------
    DataError
        If the text is no mask, or one of more pixels.
    """
    starts, stops = _from_text(text, size).reshape(-1, 2).T
    lengths = stops - starts
    first = starts - np.append(0, np.cumsum(lengths)[:-1])[: lengths.size]
    positions: Positions = np.repeat(first, lengths) + np.arange(int(lengths.sum()))
    return positions


def _to_text(ends: npt.NDArray[np.int64]) -> str:
    packed = zlib.compress(ends.astype(_NUMBER).tobytes(), 6)
    return base64.b64encode(packed).decode("ascii")


def _from_text(text: str, size: int) -> npt.NDArray[np.int64]:
    # No mask has more ends than this: a short text cannot claim more memory than the mask takes.
    most = (size + 2) * _NUMBER.itemsize
    try:
        packed = base64.b64decode(text, validate=True)
        unpacking = zlib.decompressobj()
        plain = unpacking.decompress(packed, most)
        ends = np.frombuffer(plain, _NUMBER).astype(np.int64)
    except (TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise DataError(f"A stored mask is damaged ({error}): mark the area again.") from error
    rising = ends.size == 0 or (int(ends[0]) >= 0 and bool((np.diff(ends) > 0).all()))
    if not unpacking.eof or ends.size % 2 or not rising or int(ends.max(initial=0)) > size:
        raise DataError("A stored mask does not fit these labels: mark the area again.")
    return ends
