"""Corrections on disk: each operation is appended at once, so that a crash loses the last at most.

A journal is a folder in the user's data folder. It holds the last two generations, each one file
of all labels and of the operations since; the older one is kept in case the newer is damaged.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from napari_cellseg.core.errors import JournalError
from napari_cellseg.core.folder_lock import FolderLock
from napari_cellseg.session.corrections._generation import (
    LabelsArray,
    generation_path,
    remove_generations,
)
from napari_cellseg.session.corrections._record import encode, frame
from napari_cellseg.session.corrections._snapshot import (
    Snapshot,
    journal_error,
    read_part,
    write_all,
)

_LEAST = 4 << 20  # bytes of operations below which compaction is not worth it


class Journal:
    """The journal of one labels array, used from one thread.

    A failure never changes what is on disk already. What comes after an operation that is missing
    makes no sense without it: `append` then refuses until a compaction has written the labels
    afresh, and `wants_compaction` asks for one.

    Attributes
    ----------
    folder
        Its folder.
    operations
        Operations so far, also those before the last compaction and those that are missing.
    broken
        Whether any is missing.
    """

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.operations = 0
        self._lock = lock
        self._file: BinaryIO | None = None
        self._number = 0
        self._base = 0
        self._size = 0
        self._lost = 0
        self.broken = False
        self._closed = False

    @classmethod
    def create(
        cls, root: Path, meta: Mapping[str, Any], labels: LabelsArray, operations: int = 0
    ) -> Journal:
        """Begin a journal in a new folder of `root`; may run in a worker.

        Parameters
        ----------
        root
            Where journals lie, see `recovery.journals_folder`.
        meta
            Name of the labels, source, provenance: plain values that JSON holds.
        labels
            Integers of any shape, as they are before the first operation.
        operations
            Operations that they show already and that are saved nowhere else.

        Raises
        ------
        JournalError
            If the disk is full or the folder read-only; nothing is left behind.
        """
        folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True)
            lock = FolderLock.take(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise journal_error(root, error) from error
        if lock is None:
            raise JournalError(f"The journal in '{folder}' is in use by another program.")
        journal = cls(folder, lock)
        journal.operations = operations
        try:
            journal.compact(labels, meta)
        except BaseException:
            journal.close()
            raise
        return journal

    def append(
        self, name: str, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """Append one operation, in one write.

        It is then safe from the end of this process. It reaches the disk itself when the system
        writes it out, or with `sync`.

        Parameters
        ----------
        name
            What was done, such as ``"merge"``.
        meta
            Plain values that JSON holds.
        arrays
            Arrays of numbers by name.

        Raises
        ------
        JournalError
            If the disk is full, or an earlier operation is missing.
        """
        data = frame(encode(name, meta, arrays))
        file = self._file
        if file is None:
            raise JournalError("The journal is closed; open the labels again to correct them.")
        if self.broken:
            self.miss()
            raise JournalError(
                "This correction is not kept in the journal, as an earlier one could not be; "
                "save your labels, or free some space on the disk."
            )
        try:
            write_all(file, data)
        except OSError as error:
            self.miss()
            with suppress(OSError):  # a torn record that stays is dropped by the reader
                file.truncate(self._size)
            raise journal_error(self.folder, error) from error
        self._size += len(data)
        self.operations += 1

    def miss(self, count: int = 1) -> None:
        """Note operations that are not appended, but left to the next compaction."""
        self.operations += count
        self._lost += count
        self.broken |= count > 0

    def sync(self) -> None:
        """Wait until all operations are on the disk itself; a power cut then loses none of them.

        It may run in a worker: a journal that is closed meanwhile has nothing to wait for.

        Raises
        ------
        JournalError
            If the disk fails.
        """
        file = self._file
        if file is None:
            return
        try:
            os.fsync(file.fileno())
        except (OSError, ValueError) as error:
            if not file.closed and isinstance(error, OSError):
                raise journal_error(self.folder, error) from error

    @property
    def wants_compaction(self) -> bool:
        """Whether the operations take much more room than the labels, or one is missing."""
        return self.broken or self._size - self._base > max(_LEAST, 2 * self._base)

    def compact(self, labels: LabelsArray, meta: Mapping[str, Any]) -> None:
        """Write the labels as they are as the next generation; fails as `finish_compaction`."""
        snapshot = self.start_compaction(meta)
        snapshot.write(labels)
        self.finish_compaction(snapshot)

    def start_compaction(self, meta: Mapping[str, Any]) -> Snapshot:
        """Begin a compaction whose labels are written elsewhere, while operations go on.

        Call ``snapshot.write(labels)`` in a worker, with a copy of the labels as they are at this
        call, and then `finish_compaction`. Use `compact` where an operation is missing: none is
        taken before it has ended.
        """
        path = self.folder / f".{secrets.token_hex(8)}.part"
        return Snapshot(path, meta, self.operations, self._number, self._size, self._lost)

    def finish_compaction(self, snapshot: Snapshot) -> None:
        """Put a written snapshot, and the operations since its start, in the place of the present.

        It is dropped if the journal was closed, or compacted by another call, in the meantime.

        Raises
        ------
        JournalError
            If the disk is full or the folder read-only; all is as before then.
        """
        if self._closed or snapshot.number != self._number:
            snapshot.discard()
            return
        target = generation_path(self.folder, self._number + 1)
        try:
            with snapshot.path.open("r+b", buffering=0) as stream:
                base = stream.seek(0, os.SEEK_END)
                present = generation_path(self.folder, self._number)
                since = read_part(present, snapshot.mark, self._size)
                write_all(stream, since)
            # The folder is not synced: if a power cut takes this back, the one before is there.
            snapshot.path.replace(target)
            file = target.open("ab", buffering=0)
        except OSError as error:
            snapshot.discard()
            with suppress(OSError):  # a newer file that is not written to would hide this one
                target.unlink()
            raise journal_error(self.folder, error) from error
        if self._file is not None:
            self._file.close()
        self._file = file
        self._number += 1
        self._base, self._size = base, base + len(since)
        self.broken = self._lost != snapshot.lost
        remove_generations(self.folder, keep=2)

    def close(self, keep: bool = False) -> None:
        """End the journal and remove it: its labels were saved or thrown away.

        Parameters
        ----------
        keep
            Leave it on disk, to be offered for recovery at the next start.
        """
        if self._closed:
            return
        self._closed = True
        if self._file is not None:
            self._file.close()
            self._file = None
        if not keep:
            remove_generations(self.folder)
        self._lock.release()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
