"""Options that several commands share: which model or recipe, which settings, which device."""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from napari_cellseg.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_cellseg.core.recipe import Recipe

MEASURED = ("measurements-csv", "measurements-parquet")
"""Formats that hold nothing but measurements."""


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--recipe``, ``--set``, ``--diameter``, ``--channels``, ``--device``."""
    parser.add_argument(
        "--model", metavar="NAME", help="name or folder of a model (default: nuclei)"
    )
    parser.add_argument("--recipe", metavar="FILE", help="recipe of an earlier run, to repeat it")
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="change one setting of the recipe, such as post.min_area=30; may be repeated",
    )
    parser.add_argument("--diameter", metavar="PX", help="typical diameter of the objects")
    parser.add_argument("--channels", metavar="LIST", help="channels to use, such as 0 or 0,2")
    add_device_option(parser)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--axes`` and ``--series``."""
    parser.add_argument(
        "--axes",
        metavar="LETTERS",
        help="meaning of the dimensions where a file does not say, such as ZCYX (S: colours)",
    )
    parser.add_argument(
        "--series", type=int, metavar="N", help="which of several images in each file, from 0"
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda or mps (default: auto)"
    )


def add_smallest_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--smallest``."""
    parser.add_argument(
        "--smallest",
        type=int,
        default=0,
        metavar="PX",
        help="leave objects of fewer pixels out on both sides, such as specks in drawn labels",
    )


def chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the options describe.

    Raises
    ------
    SettingsError
        If a setting is unknown or its value not allowed.
    ModelError
        If there is no such model.
    """
    from napari_cellseg.api import choose_recipe

    recipe = choose_recipe(arguments.recipe, arguments.model)
    settings = [split_setting(text) for text in arguments.settings]
    if arguments.diameter is not None:
        settings.append(("preparation.diameter", arguments.diameter))
    if arguments.channels is not None:
        settings.append(("preparation.channels", _as_list(arguments.channels)))
    for name, value in settings:
        recipe = recipe.with_setting(name, value)
    return recipe


def split_setting(text: str) -> tuple[str, str]:
    """Divide ``"post.min_area=30"`` into name and value.

    Raises
    ------
    SettingsError
        If there is no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingsError(f"--set takes NAME=VALUE, such as post.min_area=30, not '{text}'.")
    return name.strip(), value


def read_value(text: str) -> Any:
    """Read a number, ``true``, ``none``, list or text."""
    try:
        return None if text.strip().lower() == "none" else json.loads(text)
    except ValueError:
        return text


def _as_list(text: str) -> str:
    if not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", text):
        raise SettingsError(f"--channels takes numbers from 0, such as 0 or 0,2, not '{text}'.")
    return f"[{text}]"
