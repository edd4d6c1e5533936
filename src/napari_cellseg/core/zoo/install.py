"""Take a model from a folder, a zip or the web among the user's own, or take it away."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from napari_cellseg.core.errors import ModelError, OutputError, SettingsError
from napari_cellseg.core.files import make_folder
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import (
    CARD_FILE,
    read_all,
    write_folder,
)
from napari_cellseg.core.zoo.download import download, is_url
from napari_cellseg.core.zoo.store import (
    ModelEntry,
    find_model,
    included_folder,
    user_folder,
)

CHECKING = "Checking the model"


def install_model(
    source: str | Path, *, name: str | None = None, sha256: str | None = None, replace: bool = False
) -> Generator[Progress, None, ModelEntry]:
    """Install a model; it takes its place only after hash and self-test were found right.

    Parameters
    ----------
    source
        Folder or zip of a bundle, or the address of a zip on the web.
    name
        Name of the model here; by default the card's.
    sha256
        What the zip must hash to, 64 hexadecimal digits.
    replace
        Whether a model of one's own with the same name may be replaced.

    Returns
    -------
    The installed model.

    Raises
    ------
    ModelError
        If the source is no model, is damaged, fails its self-test, or its name is taken.
    SettingsError
        If the name, the address or the checksum is none.
    OutputError
        If the folder of one's own models cannot be written.
    """
    if is_url(str(source)):
        make_folder(user_folder())
        # Here, not in the temporary folder, which may be small.
        with tempfile.TemporaryDirectory(
            prefix=".download-", dir=user_folder(), ignore_cleanup_errors=True
        ) as scratch:
            path = yield from download(str(source), Path(scratch), sha256)
            return (yield from _install(path, name, replace))
    path = Path(source).expanduser()
    if sha256 is not None:
        _check_hash(path, sha256)
    # A path goes before a name here: 'install nuclei' means the folder that lies at hand.
    found = find_model(path.absolute() if path.exists() else source)
    return (yield from _install(found.folder, name, replace))


def _install(path: Path, name: str | None, replace: bool) -> Generator[Progress, None, ModelEntry]:
    yield Progress(CHECKING)
    card = Card.load(path)
    if name is not None:
        card = _renamed(card, name)
    folder = user_folder() / card.name
    _check_name(card.name, folder, path, replace)
    try:
        contents = read_all(path)
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read ({error}): copy it again.") from error
    if name is not None:
        contents[CARD_FILE] = card.to_json().encode()
    write_folder(folder, contents, _verify)
    message = "" if card.self_test_sha256 else f"'{card.name}' brings no self-test: try it out."
    yield Progress(CHECKING, 1, 1, message=message)
    return ModelEntry(card.name, "mine", folder, card)


def _verify(folder: Path) -> None:
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.zoo.bundle import load_untested
    from napari_cellseg.core.zoo.record import remember_success
    from napari_cellseg.core.zoo.self_test import check

    model = load_untested(folder)
    if check(model, folder) is not None:
        remember_success(model.card, torch.__version__)


def _renamed(card: Card, name: str) -> Card:
    try:
        # A title that only repeats the name follows it: two models must not read the same.
        return card.replace(name=name, title=name if card.title == card.name else card.title)
    except SettingsError as error:
        raise SettingsError(
            f"'{name}' is no name for a model: use letters, digits, '-', '_', '.' and spaces, and "
            "begin with a letter or digit."
        ) from error


def _check_name(name: str, folder: Path, source: Path, replace: bool) -> None:
    if (included_folder() / name).exists():
        raise ModelError(
            f"A model called '{name}' comes with the package: choose another name (--name)."
        )
    if not folder.exists():
        return
    if source.exists() and folder.samefile(source):
        raise ModelError(f"The model '{name}' is installed already.")
    if not replace:
        raise ModelError(
            f"You have a model called '{name}' already: choose another name (--name), or let the "
            "new one take its place (--replace)."
        )


def _check_hash(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"'{path}' cannot be read ({error.strerror}); a checksum is that of one zip."
        ) from error
    if found != sha256.lower():
        raise ModelError(
            f"'{path.name}' is not the file that the checksum belongs to: get both again."
        )


def remove_model(name: str) -> Path:
    """Delete one of the user's own models for good; also one whose card cannot be read.

    Parameters
    ----------
    name
        Its name, or its folder.

    Returns
    -------
    The folder that is gone.

    Raises
    ------
    ModelError
        If there is no such model, or it is not the user's own.
    OutputError
        If it cannot be deleted.
    """
    own = user_folder()
    broken = own / name
    if broken.parent == own and (broken / CARD_FILE).is_file() and not name.startswith("."):
        folder = broken
    else:
        entry = find_model(name)
        if entry.group == "included":
            raise ModelError(f"The model '{name}' comes with the package and cannot be removed.")
        if entry.group == "file":
            raise ModelError(
                f"'{name}' does not lie among your own models ({own}): delete it yourself."
            )
        folder = entry.folder
    try:
        with tempfile.TemporaryDirectory(prefix=".removed-", dir=own) as scratch:
            os.replace(folder, Path(scratch) / "old")  # at once: never half a model
    except OSError as error:
        raise OutputError(
            f"'{folder}' cannot be deleted ({error.strerror or error}): close the programs that "
            "use it."
        ) from error
    return folder
