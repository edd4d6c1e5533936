"""Which models there are: the included ones, the user's own, and those from a path; no torch."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, is_zip

HOME_VARIABLE = "NAPARI_CELLSEG_HOME"
Group = Literal["included", "mine", "file"]


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be loaded.

    Attributes
    ----------
    name
        What a recipe calls it: the card's name, or the path of a model from elsewhere.
    group
        Where it comes from: ``"included"``, ``"mine"`` or ``"file"``.
    folder
        Folder of the bundle, or its zip.
    card
        Its card.
    """

    name: str
    group: Group
    folder: Path
    card: Card


def included_folder() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(__file__).parent / "bundles"


def is_included(bundle: Path) -> bool:
    """Tell whether a bundle comes with the package."""
    return bundle.absolute().parent == included_folder().absolute()


def home_folder() -> Path:
    """Return the folder of all that is kept for the user; it need not exist.

    The environment variable ``NAPARI_CELLSEG_HOME`` names it; by default it is the platform's
    folder for user data.
    """
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-cellseg", appauthor=False))


def user_folder() -> Path:
    """Return the folder of the user's own models, ``models`` in `home_folder`."""
    return home_folder() / "models"


def list_models(on_problem: Callable[[str], None] | None = None) -> list[ModelEntry]:
    """Return included and own models, by name in each group; reads the cards only.

    A model of one's own hides an included one of the same name only by its path, never silently:
    the included one keeps the name.

    Parameters
    ----------
    on_problem
        Called with one sentence for each folder whose card cannot be read.
    """
    entries: dict[str, ModelEntry] = {}
    for group, folder in _bundle_folders():
        try:
            card = Card.load(folder)
        except ModelError as error:
            if on_problem:
                on_problem(f"{folder.name}: {error}")
            continue
        taken = card.name in entries
        name = str(folder) if taken else card.name
        entries[name] = ModelEntry(name, group, folder, card)
    return list(entries.values())


def _bundle_folders() -> Iterator[tuple[Group, Path]]:
    groups: tuple[tuple[Group, Path], ...] = (
        ("included", included_folder()),
        ("mine", user_folder()),
    )
    for group, parent in groups:
        if parent.is_dir():
            for folder in sorted(parent.iterdir()):
                if not folder.name.startswith(".") and (folder / CARD_FILE).exists():
                    yield group, folder


def find_model(name_or_path: str | Path) -> ModelEntry:
    """Return the model of that name, or the one at that path.

    Parameters
    ----------
    name_or_path
        Name, or path of a bundle's folder, of a file in it, or of its zip.

    Raises
    ------
    ModelError
        If there is none, or the path is not a bundle.
    """
    entries = list_models()
    for entry in entries:
        if entry.name == str(name_or_path):
            return entry
    path = Path(name_or_path).expanduser()
    if path.is_dir() or path.name == CARD_FILE or path.suffix == ".safetensors":
        folder = path if path.is_dir() else path.parent
        if folder.is_dir():
            return ModelEntry(str(folder.resolve()), "file", folder, Card.load(folder))
    if is_zip(path):
        return ModelEntry(str(path.resolve()), "file", path, Card.load(path))
    if path.is_file():
        raise ModelError(
            f"'{path.name}' is not a napari-cellseg model. Files such as .pt and .pth may run "
            "foreign code and are not opened: choose a folder with card.json and "
            "weights.safetensors, or the zip of one."
        )
    known = [entry.name for entry in entries]
    close = difflib.get_close_matches(str(name_or_path), known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    listed = ", ".join(known) or "none"
    raise ModelError(
        f"There is no model called '{name_or_path}'.{hint} Installed: {listed}. "
        "Give one of these names, or the folder or zip of a model."
    )
