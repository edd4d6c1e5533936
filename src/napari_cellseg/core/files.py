"""Write a file whole or not at all, and say in words why it could not be written."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from napari_cellseg.core.errors import OutputError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the disk does not take files of this size; choose another folder",
    errno.EACCES: "it is write-protected; choose another folder",
    errno.EPERM: "it is write-protected; choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EEXIST: "a file is in the way; choose another folder",
    errno.EISDIR: "a folder of that name is in the way; choose another name",
    errno.ENOENT: "the folder does not exist; choose another one",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """Word a failure to write `path` for the user."""
    reason = _REASONS.get(error.errno or 0)
    if reason is None:
        # Libraries that count written bytes themselves lose the number of the error.
        reason = f"{error}; check that the disk is not full and the folder is writable"
    return OutputError(f"'{path}' cannot be written: {reason}.")


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents where missing, and return it.

    Raises
    ------
    OutputError
        If it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    return folder


@contextmanager
def atomic_file(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` only once it is complete on disk.

    On any error, and on cancelling, nothing is left behind and an earlier file stays as it was.
    Without `sync` a power cut may still take the file, or leave it empty; a crash of the process
    may not. It saves waiting for the disk where many small files are written.

    Raises
    ------
    OutputError
        If the folder is missing or read-only, or the disk is full.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        # Not tempfile: it makes files that only their owner can read, also on shared disks.
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        partial.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all.

    Raises
    ------
    OutputError
        As of `atomic_file`.
    """
    with atomic_file(path) as stream:
        stream.write(text.encode())


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once the folder is on disk; Windows has no such call.
    if os.name != "posix":
        return
    with suppress(OSError):  # some network disks refuse it, and the file is complete anyway
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
