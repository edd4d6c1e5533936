"""One file of a journal: all labels as they were, then each operation since.

The file is a line of text (magic), a frame of JSON (header), frames of the labels, compressed in
pieces, and one frame a record. It is written once up to the labels; records are appended.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import JournalError
from napari_cellseg.session.corrections._record import (
    BadRecord,
    Record,
    decode,
    frame,
    frames,
    plain_dtype,
)

MAGIC = b"napari-cellseg journal\n"
FORMAT = 1
_SUFFIX = ".journal"
_PIECE = 1 << 20  # labels in one compressed piece

LabelsArray = npt.NDArray[np.integer[Any]]


class Damaged(ValueError):  # noqa: N818 - it never leaves this package
    """The file is not whole up to the end of its labels."""


def generation_path(folder: Path, number: int) -> Path:
    """Return the file of that generation, 1 being the first."""
    return folder / f"{number:08d}{_SUFFIX}"


def generations(folder: Path) -> list[Path]:
    """Return the files of the generations that are there, the newest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"), reverse=True)


def remove_generations(folder: Path, keep: int = 0) -> None:
    """Remove all but the newest `keep` generations, as far as the system lets them go."""
    # Oldest first: should this be cut short, what is left is not an old state.
    for path in reversed(generations(folder)[keep:]):
        with suppress(OSError):
            path.unlink()


def write_base(
    stream: BinaryIO, labels: LabelsArray, meta: Mapping[str, Any], earlier: int
) -> None:
    """Write magic, header and labels.

    Parameters
    ----------
    stream
        The empty file.
    labels
        Integers of any shape; zlib level 1, as label images are long runs of equal bytes.
    meta
        Plain values that JSON holds.
    earlier
        Operations that were made before and that `labels` show already.

    Raises
    ------
    TypeError
        If `meta` holds more than JSON does, or the labels are no integers.
    """
    if labels.dtype.kind not in "biu":
        raise TypeError(f"labels are integers, not {labels.dtype}")
    flat = labels.reshape(-1)
    header = {
        "format": FORMAT,
        "meta": dict(meta),
        "earlier": earlier,
        "dtype": labels.dtype.str,
        "shape": list(labels.shape),
        "pieces": math.ceil(flat.size / _PIECE),
    }
    stream.write(MAGIC + frame(json.dumps(header).encode()))
    for start in range(0, flat.size, _PIECE):
        stream.write(frame(zlib.compress(flat[start : start + _PIECE].tobytes(), 1)))


@dataclass(frozen=True, eq=False)
class Generation:
    """What a file holds.

    Attributes
    ----------
    meta
        Plain values that were given with the labels.
    earlier
        Operations that the labels show already.
    shape, dtype
        Of the labels.
    pieces
        The labels, compressed.
    records
        The operations since, in their order, up to the first that is torn or wrong.
    """

    meta: dict[str, Any]
    earlier: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pieces: tuple[bytes, ...]
    records: tuple[Record, ...]

    def labels(self) -> LabelsArray:
        """Return the labels as they were before the records.

        Raises
        ------
        Damaged
            If the pieces are not those of an array of `shape`.
        """
        flat = np.empty(math.prod(self.shape), self.dtype)
        at = 0
        try:
            for piece in self.pieces:
                values = np.frombuffer(zlib.decompress(piece), self.dtype)
                flat[at : at + values.size] = values
                at += values.size
        except (ValueError, zlib.error) as error:
            raise Damaged(str(error)) from error
        if at != flat.size:
            raise Damaged("labels are missing")
        return flat.reshape(self.shape)


def read_generation(path: Path) -> Generation:
    """Read a file; the labels are left compressed.

    Raises
    ------
    Damaged
        If it is not whole up to the end of its labels.
    JournalError
        If a newer version of the program wrote it.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except (KeyError, TypeError, ValueError, OSError) as error:
        if isinstance(error, Damaged | JournalError):
            raise
        raise Damaged(f"'{path}': {error}") from error


def _read(stream: BinaryIO) -> Generation:
    if stream.read(len(MAGIC)) != MAGIC:
        raise Damaged("it does not begin as a journal does")
    payloads = frames(stream, os.fstat(stream.fileno()).st_size)
    header = json.loads(next(payloads, b""))
    if header["format"] != FORMAT:
        raise JournalError(
            "The journal of corrections was written by a newer version of napari-cellseg; "
            "recover it with that version."
        )
    pieces = tuple(islice(payloads, int(header["pieces"])))
    if len(pieces) != header["pieces"]:
        raise Damaged("labels are missing")
    records = []
    for payload in payloads:
        try:
            records.append(decode(payload))
        except BadRecord:
            break  # what follows would be applied to labels that lack this operation
    return Generation(
        meta=dict(header["meta"]),
        earlier=int(header["earlier"]),
        shape=tuple(int(length) for length in header["shape"]),
        dtype=plain_dtype(header["dtype"]),
        pieces=pieces,
        records=tuple(records),
    )
