"""Give a model to others, as one zip with a self-test."""

from __future__ import annotations

import tempfile
from pathlib import Path

from napari_cellseg.core.errors import OutputError, SettingsError
from napari_cellseg.core.files import atomic_file, make_folder
from napari_cellseg.core.zoo.contents import read_all, write_folder, write_zip
from napari_cellseg.core.zoo.store import ModelEntry, find_model


def export_model(name_or_path: str | Path, target: Path, *, replace: bool = False) -> Path:
    """Write a model as one zip; a model without a self-test gets one in it.

    Parameters
    ----------
    name_or_path
        Which model.
    target
        The zip, or a folder to put ``NAME.zip`` in.
    replace
        Whether an existing file may be replaced.

    Returns
    -------
    The zip.

    Raises
    ------
    ModelError
        If there is no such model or it is damaged.
    OutputError
        If the zip is there already or cannot be written.
    """
    entry = find_model(name_or_path)
    path = zip_path(entry.card.name, target, replace)
    contents = complete_contents(entry)
    with atomic_file(path) as stream:
        write_zip(stream, contents)
    return path


def zip_path(name: str, target: Path, replace: bool) -> Path:
    """Return the zip that `target` means, its folder made; refuse to overwrite unasked.

    Raises
    ------
    SettingsError
        If it is no zip.
    OutputError
        If it is there already, or the folder cannot be made.
    """
    target = target.expanduser()
    path = target / f"{name}.zip" if target.is_dir() else target
    if path.suffix.lower() != ".zip":
        raise SettingsError(f"'{path.name}' is no zip: give a name that ends in .zip, or a folder.")
    if path.exists() and not replace:
        raise OutputError(f"'{path}' is there already: choose another name, or use --replace.")
    make_folder(path.parent)
    return path


def complete_contents(entry: ModelEntry) -> dict[str, bytes]:
    """Return the files of a model, which is found intact, with a self-test.

    Raises
    ------
    ModelError
        If the model is damaged.
    OutputError
        If there is no room in the temporary folder.
    """
    from napari_cellseg.core.zoo.bundle import load_untested
    from napari_cellseg.core.zoo.self_test import add_self_test

    load_untested(entry.folder)  # what is damaged is not passed on
    contents = read_all(entry.folder)
    if entry.card.self_test_sha256:
        return contents
    with tempfile.TemporaryDirectory(prefix="napari-cellseg-") as scratch:
        copy = Path(scratch) / "bundle"
        write_folder(copy, contents)
        add_self_test(copy)
        return read_all(copy)
