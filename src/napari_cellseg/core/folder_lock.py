"""Who uses a folder: a lock that the system takes back when its process ends, however it ends."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

LOCK_FILE = "lock"
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}


class FolderLock:
    """The right to use a folder, until `release` or the end of the process."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @classmethod
    def take(cls, folder: Path) -> FolderLock | None:
        """Return the lock of `folder`, or None if a living process has it, this one included.

        Raises
        ------
        OSError
            If the folder is missing or read-only.
        """
        path = folder / LOCK_FILE
        file = path.open("a+b", buffering=0)
        try:
            _lock(file.fileno())
        except OSError as error:
            # A disk without locks (some network disks): the process that is named there decides.
            if error.errno in _TAKEN or _owner_lives(path):
                file.close()
                return None
        with suppress(OSError):  # on a full disk the lock itself still holds
            file.truncate(0)
            file.write(f"{os.getpid()} {socket.gethostname()}".encode())
        return cls(file)

    def release(self) -> None:
        """Let others use the folder."""
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Windows keeps others from reading locked bytes: this one lies behind the text.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # Not lockf: its locks are lost as soon as this process opens and closes the file again.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _owner_lives(path: Path) -> bool:
    import psutil

    try:
        number, host = path.read_text().split(maxsplit=1)
        if host != socket.gethostname():
            return True  # it cannot be known from here, and two owners would do harm
        # A process that is younger than the lock has only got the number of its owner.
        born = float(psutil.Process(int(number)).create_time())
        return born <= path.stat().st_mtime + 1.0
    except (OSError, ValueError, psutil.Error):
        return False
