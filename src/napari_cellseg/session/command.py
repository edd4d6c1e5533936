"""The command line and the recipe that repeat a run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.recipe import Recipe


def command_line(
    image: Image,
    recipe: Recipe,
    start: Recipe,
    device: str = "auto",
    axes: str = "",
    output: str = "results",
) -> str:
    """Return the command that segments the file of `image` with `recipe`.

    Parameters
    ----------
    image
        What was segmented; one that comes from no file is named by a placeholder.
    recipe
        What it was segmented with.
    start
        The recipe that the model itself brings along; every difference becomes a ``--set``.
    device
        As chosen.
    axes
        Meaning of the dimensions, where the file leaves it in doubt.
    output
        Folder for the results.
    """
    words = ["napari-cellseg", "segment", str(image.source or f"{image.name}.tif")]
    words += ["--model", recipe.model]
    for name, value in differences(recipe, start).items():
        words += ["--set", f"{name}={_text(value)}"]
    if axes:
        words += ["--axes", axes]
    if device != "auto":
        words += ["--device", device]
    words += ["-o", output]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def differences(recipe: Recipe, start: Recipe) -> dict[str, Any]:
    """Return the settings of `recipe` that differ from `start`, by dotted name."""
    changed: dict[str, Any] = {}
    if recipe.weights_sha256 != start.weights_sha256:
        changed["weights_sha256"] = recipe.weights_sha256
    for section in ("preparation", "tiling", "post"):
        new, old = getattr(recipe, section), getattr(start, section)
        for name in type(new).model_fields:
            if getattr(new, name) != getattr(old, name):
                changed[f"{section}.{name}"] = getattr(new, name)
    return changed


def command_and_recipe(line: str, recipe: Recipe, note: str = "") -> str:
    """Return the command line, and the recipe behind comment signs: the text runs as it is."""
    comment = [note] if note else []
    comment += ["The same as a recipe (save it and use --recipe FILE):"]
    comment += recipe.to_json().splitlines()
    return "\n".join([line, "", *(f"# {row}" for row in comment)]) + "\n"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return json.dumps(value, separators=(",", ":"))
    return json.dumps(value) if isinstance(value, bool) else str(value)
