"""The zip of a saved work: arrays written one by one, read with nothing taken on trust."""

from __future__ import annotations

import math
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.saved.entries import SESSION_FILE, ArrayEntry

_LARGEST_SESSION = 2**28
_LARGEST_HEADER = 4096
_PIECE = 2**22
_MOST_ENTRIES = 500_000
_VERSION = (1, 0)  # of NumPy's own format
_WEIRD = "Get it again, from a source that you trust."

Array = npt.NDArray[Any]


def plain_type(array: Array) -> Array:
    """Return an array in C order and little endian, the same one if it is so already."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def write_array(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    """Add an array as a file that NumPy can read.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with archive.open(name, "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, array, version=_VERSION, allow_pickle=False)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the zip of a saved work for reading.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, which may show only while it is read, or holds what no
        honest one does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive.infolist(), path)
            yield archive
    except FileNotFoundError as error:
        raise DataError(f"There is no file '{path}': check the path.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(
            f"'{path.name}' is no saved work, or was damaged or cut off while it was copied "
            f"({error}): copy it again, or open an earlier one."
        ) from error
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{path}' cannot be read ({error.strerror or error}): check that you may read it."
        ) from error


def _check(entries: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse what an honest file does not have; nothing is ever unpacked to disk."""
    if len(entries) > _MOST_ENTRIES:
        raise DataError(f"'{path.name}' holds {len(entries)} files, far too many. {_WEIRD}")
    names = set()
    for info in entries:
        name = info.orig_filename
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or set(name) & set("\\:\0"):
            raise DataError(f"'{path.name}' holds a file outside of itself ('{name}'). {_WEIRD}")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"'{path.name}' holds a link or device ('{name}'). {_WEIRD}")
        if name in names:
            raise DataError(f"'{path.name}' holds '{name}' twice. {_WEIRD}")
        names.add(name)


def read_session(archive: zipfile.ZipFile, path: Path) -> bytes:
    """Return the session.json of a saved work.

    Raises
    ------
    DataError
        If there is none, or it is far too large.
    """
    try:
        info = archive.getinfo(SESSION_FILE)
    except KeyError as error:
        raise DataError(
            f"'{path.name}' is no saved work: it holds no {SESSION_FILE}. Choose a file that "
            "'Save work' has written."
        ) from error
    if info.file_size > _LARGEST_SESSION:
        raise DataError(f"The {SESSION_FILE} in '{path.name}' is far too large. {_WEIRD}")
    return archive.read(info)


def check_sizes(archive: zipfile.ZipFile, entries: Mapping[str, ArrayEntry], path: Path) -> None:
    """Refuse arrays that are missing, of other sizes than told, or too large for this computer.

    Raises
    ------
    DataError
        If there is such a one.
    """
    there = {info.filename: info.file_size for info in archive.infolist()}
    total = 0
    for name, entry in entries.items():
        size = _size(entry)
        total += size
        if not size < there.get(name, 0) <= size + _LARGEST_HEADER:
            raise DataError(f"'{name}' in '{path.name}' is missing or of a wrong size. {_WEIRD}")
    memory = int(psutil.virtual_memory().total)
    if total > memory:
        raise DataError(
            f"'{path.name}' takes {total / 2**30:,.0f} GB of memory, and this computer has "
            f"{memory / 2**30:,.0f} GB: open it on a larger one."
        )


def read_into(archive: zipfile.ZipFile, name: str, entry: ArrayEntry, array: Array) -> Array:
    """Fill `array`, of the type and shape of `entry`, from a file of the zip; return it.

    Raises
    ------
    DataError
        If the file holds anything else.
    """
    with archive.open(name) as stream:
        try:
            told = (
                np.lib.format.read_magic(stream),
                np.lib.format.read_array_header_1_0(stream, max_header_size=_LARGEST_HEADER),
            )
        except ValueError as error:
            raise DataError(f"The array '{name}' of the saved work is damaged. {_WEIRD}") from error
        if told != (_VERSION, (entry.shape, False, np.dtype(entry.dtype))):
            raise DataError(f"The array '{name}' is not what the saved work tells of it. {_WEIRD}")
        rest = array.reshape(-1).view(np.uint8)
        while rest.size:
            piece = np.frombuffer(stream.read(min(rest.size, _PIECE)), np.uint8)
            if not piece.size:
                raise EOFError(f"'{name}' ends too early")
            rest[: piece.size] = piece
            rest = rest[piece.size :]
        if stream.read(1):  # at the end, and not before, the checksum is compared
            raise DataError(f"The array '{name}' of the saved work is damaged. {_WEIRD}")
    return array


def read_array(archive: zipfile.ZipFile, name: str, entry: ArrayEntry) -> Array:
    """Return an array of the zip; raises as `read_into`."""
    return read_into(archive, name, entry, np.empty(entry.shape, np.dtype(entry.dtype)))


def _size(entry: ArrayEntry) -> int:
    return math.prod(entry.shape) * int(np.dtype(entry.dtype).itemsize)


def described(arrays: Iterable[tuple[str, Array]]) -> dict[str, ArrayEntry]:
    """Return type and shape of arrays by name."""
    return {name: ArrayEntry(dtype=one.dtype.str, shape=one.shape) for name, one in arrays}
