"""Journals that a crash left behind: which there are, and what they hold."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_cellseg.core.errors import JournalError
from napari_cellseg.core.folder_lock import FolderLock
from napari_cellseg.session.corrections._generation import (
    Damaged,
    LabelsArray,
    generations,
    read_generation,
    remove_generations,
)
from napari_cellseg.session.corrections._record import Record


def journals_folder() -> Path:
    """Return the folder of all journals, ``journals`` in the user's data folder."""
    # Not above: the store reads model cards, which a process that only writes need not load.
    from napari_cellseg.core.zoo.store import home_folder

    return home_folder() / "journals"


@dataclass(frozen=True)
class Found:
    """A journal that was not closed.

    Attributes
    ----------
    folder
        Its folder.
    meta
        Plain values that were given with the labels.
    when
        Time of the last operation.
    operations
        Operations that can be recovered, those before the last compaction included; 0: the labels
        are as they were when they were opened.
    complete
        False if the newest generation is damaged and the one before is used.
    """

    folder: Path
    meta: dict[str, Any]
    when: datetime
    operations: int
    complete: bool

    def read(self) -> tuple[dict[str, Any], LabelsArray, tuple[Record, ...]]:
        """Return what was given with the labels, the labels, and the operations since.

        The journal stays until `discard`: begin another with the recovered labels first.

        Raises
        ------
        JournalError
            If it is in use or removed by now, or damaged.
        """
        with _locked(self.folder):
            for path in generations(self.folder):
                with suppress(Damaged):
                    generation = read_generation(path)
                    return generation.meta, generation.labels(), generation.records
        raise JournalError(
            f"The journal of corrections in '{self.folder}' is damaged and cannot be recovered; "
            "open the labels that were saved last."
        )

    def discard(self) -> None:
        """Remove the journal: it is recovered or not wanted.

        Raises
        ------
        JournalError
            If it is in use by now.
        """
        if not self.folder.exists():
            return
        with _locked(self.folder):
            remove_generations(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def recoverable(root: Path) -> list[Found]:
    """Return the journals in `root` that were not closed and that nobody uses, newest first.

    Journals of which no generation can be read are left out, and left alone.
    """
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        # A folder without a file is being made by somebody, who must get its lock.
        if not generations(folder):
            continue
        with suppress(JournalError), _locked(folder):
            last = _last(folder)
            if last is not None:
                found.append(last)
    return sorted(found, key=lambda one: one.when, reverse=True)


def _last(folder: Path) -> Found | None:
    newest = True
    for path in generations(folder):
        with suppress(Damaged):
            generation = read_generation(path)
            return Found(
                folder=folder,
                meta=generation.meta,
                when=datetime.fromtimestamp(path.stat().st_mtime, UTC),
                operations=generation.earlier + len(generation.records),
                complete=newest,
            )
        newest = False
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        lock = FolderLock.take(folder)
    except OSError as error:
        raise JournalError(
            f"The journal of corrections in '{folder}' cannot be opened: {error.strerror}."
        ) from error
    if lock is None:
        raise JournalError(
            f"The journal of corrections in '{folder}' is in use; close the other napari first."
        )
    try:
        yield
    finally:
        lock.release()
