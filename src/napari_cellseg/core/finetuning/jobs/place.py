"""The folders of fine-tunings: where they lie, made whole or not at all, used by one at a time."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from napari_cellseg.core.errors import OutputError, TrainingError
from napari_cellseg.core.files import make_folder, output_error
from napari_cellseg.core.folder_lock import FolderLock
from napari_cellseg.core.zoo.store import home_folder

_PATIENCE = 1.0  # s to wait for a lock that someone only tries
_LONGEST = 60  # characters of a name that go into a folder's


def jobs_folder() -> Path:
    """Return the folder of all fine-tunings, ``finetuning`` in `home_folder`; it need not exist."""
    return home_folder() / "finetuning"


def free_folder(name: str, root: Path | None = None) -> Path:
    """Return a folder in `root` (by default `jobs_folder`) that does not exist yet.

    Parameters
    ----------
    name
        Any text; what no file system forbids of it becomes part of the folder's name.
    """
    root = root or jobs_folder()
    plain = re.sub(r"[^\w-]+", "-", name[:_LONGEST], flags=re.ASCII).strip("-_")
    stem = "-".join(filter(None, (date.today().isoformat(), plain)))
    folder, number = root / stem, 1
    while folder.exists():
        number += 1
        folder = root / f"{stem}-{number}"
    return folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes its place only once it is complete.

    Raises
    ------
    OutputError
        If `folder` exists or cannot be written; on any error nothing is left behind.
    """
    if folder.exists():
        raise OutputError(f"'{folder}' exists already: choose another folder, or remove it.")
    make_folder(folder.parent)
    scratch = folder.with_name(f".{secrets.token_hex(8)}.part")
    try:
        scratch.mkdir()
        yield scratch
        scratch.rename(folder)
    except OSError as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        if not isinstance(cause, OSError):
            raise
        raise output_error(folder, cause) from error  # of the folder, not of a file in its scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def hold(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from training in the same folder.

    Raises
    ------
    TrainingError
        If a living process does so already.
    OutputError
        If the folder is missing or read-only.
    """
    lock, until = _take(folder), time.monotonic() + _PATIENCE
    while lock is None and time.monotonic() < until:
        time.sleep(0.05)
        lock = _take(folder)
    if lock is None:
        raise TrainingError(
            f"'{name}' is being trained already: wait until that run has ended, or cancel it."
        )
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Tell whether a living process trains in a folder.

    Raises
    ------
    OutputError
        As of `hold`.
    """
    lock = _take(folder)
    if lock is not None:
        lock.release()
    return lock is None


def remove(folder: Path, name: str) -> None:
    """Delete a folder with all that was trained in it.

    Raises
    ------
    TrainingError, OutputError
        As of `hold`, or if it cannot be deleted.
    """
    with hold(folder, name):
        pass  # not within: Windows deletes no file that is open, not even one's own lock
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise output_error(folder, error) from error


def _take(folder: Path) -> FolderLock | None:
    try:
        return FolderLock.take(folder)
    except OSError as error:
        raise output_error(folder, error) from error
