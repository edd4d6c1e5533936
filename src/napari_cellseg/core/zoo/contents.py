"""The files of a model bundle, read from its folder or from one zip; needs no torch."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from napari_cellseg.core.errors import ModelError, OutputError

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"
SELF_TEST_FILE = "self_test.safetensors"
THUMBNAIL_FILE = "thumbnail.png"
REPLAY_FILE = "replay.npz"

LARGEST = {
    CARD_FILE: 2**20,
    WEIGHTS_FILE: 2**31,
    SELF_TEST_FILE: 2**26,
    THUMBNAIL_FILE: 2**22,
    REPLAY_FILE: 2**23,
}
"""The files that a bundle may hold, and the most bytes of each. All others are ignored."""

MOST_ENTRIES = 1000
"""Entries that the zip of a bundle may have."""

_FOREIGN = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
_WEIRD = "Get it again, from a source that you trust."


def is_zip(path: Path) -> bool:
    """Tell whether a path is a file that ought to be a bundle's zip."""
    return path.suffix.lower() == ".zip" and path.is_file()


def read_entry(bundle: Path, name: str) -> bytes:
    """Return one file of a bundle, whole.

    Parameters
    ----------
    bundle
        Folder or zip.
    name
        One of the names in `LARGEST`.

    Raises
    ------
    FileNotFoundError
        If the bundle has no such file.
    OSError
        If it cannot be read.
    ModelError
        If it is too large, or the zip is damaged or not safe.
    """
    if not is_zip(bundle):
        path = bundle / name
        _check_size(name, path.stat().st_size)
        return path.read_bytes()
    with opened_zip(bundle) as archive:
        info = _members(archive, bundle).get(name)
        if info is None:
            raise FileNotFoundError(f"{bundle.name} holds no {name}")
        _check_size(name, info.file_size)
        return archive.read(info)


def read_all(bundle: Path) -> dict[str, bytes]:
    """Return every file of a bundle that there is, by name.

    Raises
    ------
    OSError, ModelError
        As `read_entry`.
    """
    contents = {}
    for name in LARGEST:
        try:
            contents[name] = read_entry(bundle, name)
        except FileNotFoundError:
            continue
    return contents


def write_zip(stream: IO[bytes], contents: Mapping[str, bytes]) -> None:
    """Write files as a zip; the same files always give the same bytes.

    Parameters
    ----------
    stream
        Binary file, open for writing.
    contents
        What `read_all` returns; further files are allowed.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)  # dated 1980
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)


def write_folder(
    folder: Path, contents: Mapping[str, bytes], verify: Callable[[Path], None] | None = None
) -> None:
    """Write a bundle's folder; an older one is replaced only once the new one is complete.

    Parameters
    ----------
    folder
        Folder of the bundle; made, with its parents, if missing.
    contents
        Its files.
    verify
        Called with the complete new folder before it takes its place; may refuse it by an error.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".bundle-", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "new"
            fresh.mkdir()
            for name, content in contents.items():
                (fresh / name).write_bytes(content)
            if verify:
                verify(fresh)
            _put_in_place(fresh, folder, Path(scratch) / "old")
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"The model cannot be saved in '{folder}': {error.strerror or error}. "
            "Choose a folder that you may write to, on a disk with free space."
        ) from error


def _put_in_place(fresh: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(fresh, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    if old.exists():
        shutil.rmtree(old)


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip for reading.

    Raises
    ------
    ModelError
        If it is damaged, also in what is read within the context, or needs a password.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise ModelError(
            f"'{path.name}' is not a readable zip, or was cut off while it was copied ({error}): "
            "download or copy it again."
        ) from error
    except RuntimeError as error:
        raise ModelError(
            f"'{path.name}' is packed in a way that is not opened here ({error}): pack the files "
            "of the model with an ordinary zip program, without a password."
        ) from error


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the bundle's files, which lie at the top or in one folder, after a look at all."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ModelError(
            f"'{path.name}' holds {len(entries)} files, a model has a handful. {_WEIRD}"
        )
    for info in entries:
        check_entry(info, path)
    cards = [
        PurePosixPath(info.filename)
        for info in entries
        if PurePosixPath(info.filename).name == CARD_FILE
    ]
    top = [card for card in cards if len(card.parts) <= 2 and card.parts[0] != "__MACOSX"]
    if not top and any(PurePosixPath(one.filename).name in _FOREIGN for one in entries):
        raise ModelError(
            f"'{path.name}' is a BioImage.IO model that napari-cellseg did not write. Its network "
            "would be foreign code, which is not run: only models that were exported from here "
            "come back."
        )
    if len(top) != 1:
        found = "more than one" if top else "no"
        raise ModelError(
            f"'{path.name}' is not a model: it holds {found} {CARD_FILE}. "
            "Choose a zip that napari-cellseg has written."
        )
    members: dict[str, zipfile.ZipInfo] = {}
    for info in entries:
        place = PurePosixPath(info.filename)
        if place.parent != top[0].parent or place.name not in LARGEST:
            continue
        if place.name in members:
            raise ModelError(f"'{path.name}' holds {place.name} twice. {_WEIRD}")
        members[place.name] = info
    return members


def check_entry(info: zipfile.ZipInfo, path: Path) -> None:
    """Refuse a link, and what leads out of its folder; only known names are ever unpacked.

    Raises
    ------
    ModelError
        If it is one.
    """
    name = info.orig_filename
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or set(name) & set("\\:\0"):
        raise ModelError(f"'{path.name}' holds a file outside of its folder ('{name}'). {_WEIRD}")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ModelError(f"'{path.name}' holds a link or device ('{name}'). {_WEIRD}")


def _check_size(name: str, size: int) -> None:
    if size > LARGEST[name]:
        raise ModelError(
            f"The model's {name} has {size / 2**20:,.0f} MB, more than the "
            f"{LARGEST[name] / 2**20:,.0f} MB that are allowed. {_WEIRD}"
        )
