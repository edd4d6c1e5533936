"""All labels on their way to disk, and the words for a disk that does not take them."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from napari_cellseg.core.errors import JournalError
from napari_cellseg.session.corrections._generation import LabelsArray, write_base

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your disk quota is used up; free some space",
    errno.EACCES: "it is write-protected; make it writable",
    errno.EPERM: "it is write-protected; make it writable",
    errno.EROFS: "the disk is read-only; make it writable",
    errno.ENOENT: "the folder has been removed; save your labels now and open them again",
}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The next generation while it is being written; made by `Journal.start_compaction`.

    Attributes
    ----------
    path
        A temporary file; no reader looks at it.
    meta
        Plain values that are kept with the labels.
    earlier
        Operations that the labels show.
    number, mark
        The present generation, and where in it the operations begin that the labels do not show.
    lost
        Operations that the journal had missed by then.
    """

    path: Path
    meta: Mapping[str, Any]
    earlier: int
    number: int
    mark: int
    lost: int

    def write(self, labels: LabelsArray) -> None:
        """Write `labels` as they were when the compaction was started; from any thread.

        Raises
        ------
        JournalError
            If the disk is full or the folder read-only; nothing is left behind.
        """
        try:
            with self.path.open("xb") as stream:
                write_base(stream, labels, self.meta, self.earlier)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            self.discard()
            raise journal_error(self.path.parent, error) from error
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the temporary file, if any."""
        with suppress(OSError):
            self.path.unlink()


def read_part(path: Path, start: int, stop: int) -> bytes:
    """Return the bytes from `start` to `stop`; if there are none, the file need not exist."""
    if start == stop:
        return b""
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(stop - start)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data`: in one go as a rule; a system that takes less is given the rest."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def journal_error(folder: Path, error: OSError) -> JournalError:
    """Word a failure to write into `folder` for the user."""
    reason = _REASONS.get(error.errno or 0, f"{error}; check the disk")
    return JournalError(
        f"The journal of your corrections in '{folder}' cannot be written: {reason}. "
        "Save your labels often until then, as a crash would lose what is not saved."
    )
