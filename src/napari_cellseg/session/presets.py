"""Named post-processing settings: those that come along and the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.files import make_folder, write_text
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.zoo.store import user_folder

Changes = dict[str, Any]

INCLUDED: dict[str, Callable[[PostParams], Changes]] = {
    "Default": lambda _: {},
    "Small objects": lambda base: {
        "min_area": min(base.min_area, 5),
        "min_seed_area": min(base.min_seed_area, 4),
        "foreground_threshold": round(0.8 * base.foreground_threshold, 2),
    },
    "Dense, touching": lambda base: {
        "split": "contour",
        "contour_threshold": round(0.6 * base.contour_threshold, 2),
        "min_seed_area": min(base.min_seed_area, 8),
    },
    "Smooth outlines": lambda _: {"opening": 2, "closing": 2},
    "Whole cells only": lambda _: {"edge_objects": "remove"},
}
"""What each preset changes in the settings that a model brings along: relative to these where
they are fitted to the model."""


def presets_file() -> Path:
    """Return the file of the user's own presets; it need not exist."""
    return user_folder().parent / "presets.json"


def all_presets(base: PostParams) -> dict[str, Changes]:
    """Return what the included presets, then the user's own, change in `base`, by name.

    Presets that this version cannot read are left out: they must not keep the dock from opening.
    """
    return {name: changes(base) for name, changes in INCLUDED.items()} | _own()


def _own() -> dict[str, Changes]:
    try:
        found = json.loads(presets_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: changes for name, changes in found.items() if _valid(changes)}


def _valid(changes: Any) -> bool:
    try:
        PostParams.parse(changes)
    except SettingsError:
        return False
    return True


def apply(base: PostParams, changes: Changes) -> PostParams:
    """Return the settings `base` with the changes of a preset."""
    return base.replace(**changes)


def changes_of(params: PostParams, base: PostParams) -> Changes:
    """Return the settings of `params` that differ from `base`."""
    return {
        name: value for name, value in params.model_dump().items() if getattr(base, name) != value
    }


def save(name: str, base: PostParams, params: PostParams) -> None:
    """Keep what `params` changes in `base` under `name`.

    Raises
    ------
    SettingsError
        If an included preset has that name.
    OutputError
        If the file cannot be written.
    """
    if name in INCLUDED:
        raise SettingsError(f"'{name}' is an included preset: choose another name.")
    target = presets_file()
    make_folder(target.parent)
    write_text(target, json.dumps(_own() | {name: changes_of(params, base)}, indent=2) + "\n")
