"""A fine-tuning as one zip, to be trained elsewhere: packed, and unpacked without risk."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.finetuning.jobs.description import JOB_FILE
from napari_cellseg.core.finetuning.jobs.parent import PARENT
from napari_cellseg.core.zoo.contents import LARGEST, check_entry, opened_zip

_PIXELS = r"(?:images|labels|known)/\d{4,6}\.tif"
_MODEL = f"{PARENT}/(?:{'|'.join(map(re.escape, LARGEST))})"
_WANTED = re.compile(rf"(?:{re.escape(JOB_FILE)}|{_PIXELS}|{_MODEL})", re.ASCII)
_LARGEST_JOB_FILE = 2**26
_LARGEST_PICTURE = 2**33
_MOST_ENTRIES = 400_000


def pack(path: Path, folder: Path, names: Sequence[str], parent: Mapping[str, bytes]) -> None:
    """Write files of a folder and those of its parent model as a zip, whole or not at all.

    Parameters
    ----------
    path
        The zip.
    folder
        Of the job.
    names
        Files in it, with ``/``.
    parent
        Files of the model, by name.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic_file(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            with (folder / name).open("rb") as file, _entry(archive, name) as packed:
                shutil.copyfileobj(file, packed, 2**20)
        for name, content in parent.items():
            with _entry(archive, f"{PARENT}/{name}") as packed:
                packed.write(content)


def _entry(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(name)  # dated 1980: the same files always give the same bytes
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return archive.open(info, "w", force_zip64=True)


def job_text(path: Path) -> bytes:
    """Return the job.json of a packed job.

    Raises
    ------
    DataError
        If there is none.
    ModelError
        If the zip is damaged, or holds what no honest one does.
    """
    with opened_zip(path) as archive:
        info = _members(archive, path).get(JOB_FILE)
        if info is None:
            raise DataError(
                f"'{path.name}' is not a packed training: it holds no {JOB_FILE}. Choose a zip "
                "that napari-cellseg has written for it."
            )
        return archive.read(info)


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip into an empty folder; files that do not belong to a job are left out.

    Raises
    ------
    OSError
        If the disk is full.
    ModelError
        As of `job_text`.
    """
    with opened_zip(path) as archive:
        for name, info in _members(archive, path).items():
            target = folder / name  # of known form, so within the folder
            target.parent.mkdir(exist_ok=True)
            with archive.open(info) as packed, target.open("xb") as file:
                shutil.copyfileobj(packed, file, 2**20)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the job's files, by name, after a look at all."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise DataError(f"'{path.name}' holds too many files for a training: pack it again.")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in entries:
        check_entry(info, path)
        if not _WANTED.fullmatch(info.filename):
            continue
        if info.filename in members or info.file_size > _largest(info.filename):
            raise DataError(
                f"'{path.name}' holds {info.filename} twice or far too large: pack it again."
            )
        members[info.filename] = info
    return members


def _largest(name: str) -> int:
    folder, _, file = name.rpartition("/")
    if folder == PARENT:
        return LARGEST[file]
    return _LARGEST_PICTURE if folder else _LARGEST_JOB_FILE
