"""Which of the images of a file are meant, beside thumbnails, slide labels and macro pictures."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import tifffile


def large_ones(sizes: Sequence[int]) -> list[int]:
    """Return which images, of so many pixels each, are no mere additions to the largest one."""
    return [number for number, size in enumerate(sizes) if 4 * size > max(sizes)]


def image_numbers(path: Path) -> tuple[int | None, ...]:
    """Return the numbers (series) by which `read_image` gives the images of a file.

    Returns
    -------
    ``(None,)`` if there is one image, or the file cannot be read: reading it says why.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                return (None,)
        with tifffile.TiffFile(path) as file:
            large = large_ones([math.prod(one.shape) for one in file.series])
    # Decoders of broken headers raise any of these.
    except (tifffile.TiffFileError, ValueError, struct.error, IndexError, EOFError, OSError):
        return (None,)
    return tuple(large) if len(large) > 1 else (None,)
