"""Python objects through a pipe, one after the other, between a batch and its helper."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from napari_cellseg.core.batch.image_writer import ImageWriter
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.separate import Predicted, Rescale, Seen

_LENGTH = struct.Struct("<Q")
_LONGEST = 2**30  # bytes; whatever says more is no message


@dataclass(frozen=True)
class Setup:
    """The first word of a batch: what writes the results, and the recipe, but for its hash."""

    writer: ImageWriter
    recipe: Recipe


@dataclass(frozen=True)
class Ready:
    """The first word of a helper: the file of the package that it has loaded."""

    package: str


@dataclass(frozen=True)
class Task:
    """An image to be finished, see `finish_image`."""

    seen: Seen | Predicted
    about: Finished


Answer = Finished | Rescale | CellsegError | MemoryError | None
"""What became of a task; None: the helper cannot tell, the batch has to do it itself."""


def packed(message: Setup | Ready | Task | Answer) -> bytes:
    """Return a message as it goes through the pipe.

    Raises
    ------
    pickle.PicklingError, TypeError, AttributeError
        If it holds what cannot be sent.
    """
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def send(stream: BinaryIO, frame: bytes) -> None:
    """Write a packed message, after its length.

    Raises
    ------
    OSError, ValueError
        If nobody reads, or the stream is closed.
    """
    stream.write(_LENGTH.pack(len(frame)))
    stream.write(frame)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Return the next message; it is only read from pipes to processes of this program.

    Raises
    ------
    EOFError
        If the other side has ended.
    OSError, ValueError
        If the stream cannot be read, is closed, or holds something else.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _LONGEST:
        raise ValueError("somebody else writes to the stream")
    return pickle.loads(_exactly(stream, length))  # noqa: S301


def _exactly(stream: BinaryIO, length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise EOFError("the other side has ended")
    return found
