"""Which of the images of a file are meant, beside thumbnails, slide labels and macro pictures."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import tifffile

from napari_cellseg.core.errors import ImageError

_PART = re.compile(r'<(?:\w+:)?UUID\b[^>]*\bFileName="([^"]*)"')
_MAIN_FILE = re.compile(r'<(?:\w+:)?BinaryOnly\b[^>]*\bMetadataFile="([^"]*)"')
_BROKEN = (tifffile.TiffFileError, ValueError, struct.error, IndexError, EOFError, OSError)
"""What decoders of broken headers raise."""


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
    except _BROKEN:
        return (None,)
    return tuple(large) if len(large) > 1 else (None,)


def one_a_set(paths: Iterable[Path]) -> list[Path]:
    """Leave out files that hold but a part of what another one gives whole (OME-TIFF).

    Such a data set is divided among several files, of which each names all: read one by one, they
    would give the same images again and again.
    """
    paths = list(paths)
    given = {path.absolute() for path in paths}
    kept, seen = [], set()
    for path in paths:
        text = _ome_text(path)
        main = _MAIN_FILE.search(text)
        if main is not None and path.with_name(main[1]).absolute() in given:
            continue
        parts = frozenset(_PART.findall(text))
        if len(parts) > 1:
            if (path.absolute().parent, parts) in seen:
                continue
            seen.add((path.absolute().parent, parts))
        kept.append(path)
    return kept


def check_parts(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse an OME image of which planes lie in files that are not there: they would be black.

    Raises
    ------
    ImageError
        With the name of such a file.
    """
    parts = sorted(set(_PART.findall(file.ome_metadata or "")))
    # A file that is the only one may have been renamed.
    missing = [name for name in parts if len(parts) > 1 and not path.with_name(name).exists()]
    if missing and any(page is None for page in series.pages):
        raise ImageError(
            f"'{path.name}' holds but a part of its image; the rest is in '{missing[0]}', which is "
            "missing: copy it into the same folder."
        )


def _ome_text(path: Path) -> str:
    if ".ome." not in path.name.lower():
        return ""
    try:
        with tifffile.TiffFile(path) as file:
            return str(file.pages.first.description)
    except _BROKEN:
        return ""
