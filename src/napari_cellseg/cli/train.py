"""The command ``train``: labelled images in, a model bundle out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_cellseg.cli.choices import add_device_option, read_value, split_setting
from napari_cellseg.cli.console import follow, say
from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options; one flag for each plain field of the training settings."""
    from napari_cellseg.core.training.config import TrainConfig
    from napari_cellseg.core.training.recipes import RECIPES

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, RECIPES))
    parser.epilog = "recipes, whose settings the other options change:\n" + "\n".join(
        f"  {name:{width}}  {recipe.title}" for name, recipe in RECIPES.items()
    )
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="folders of images/ and labels/, with or without split.json",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="BUNDLE",
        help="folder of the new model; its last part is the model's name",
    )
    parser.add_argument(
        "--unlabelled",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="PATH",
        help="images without labels, or folders of them, for --teacher",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    add_device_option(parser)
    settings = parser.add_argument_group("settings")
    for name, field in TrainConfig.model_fields.items():
        if isinstance(field.default, Params) or field.default_factory:
            continue
        text = field.description or ""
        default = "none" if field.default is None else field.default
        settings.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"config.{name}",
            metavar="VALUE",
            help=f"{text} (default: {default})".replace("%", "%%"),
        )
    settings.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="change a setting inside a group, such as augment.NAME=VALUE, "
        "model_params.width=small or post.min_area=30; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, show progress, and say where the model lies."""
    from napari_cellseg.core.training.recipes import configure
    from napari_cellseg.core.workflows.train import train

    flags = {
        name.removeprefix("config."): value
        for name, value in vars(arguments).items()
        if name.startswith("config.") and value is not None
    }
    config = configure(_values(flags, arguments.settings))
    result = follow(
        train(
            config,
            arguments.data,
            arguments.output,
            unlabelled=arguments.unlabelled,
            resume=arguments.resume,
            device=arguments.device,
        )
    )
    best = ", ".join(f"{name} {value:.4g}" for name, value in result.best.items())
    say(f"{result.folder}: {best}")
    return 0


def _values(flags: dict[str, str], settings: list[str]) -> dict[str, Any]:
    """Return the given settings as plain data, still to be validated."""
    values: dict[str, Any] = {name: read_value(text) for name, text in flags.items()}
    for setting in settings:
        path, text = split_setting(setting)
        *groups, last = path.split(".")
        inner: Any = values
        for group in groups:
            inner = inner.setdefault(group, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            raise SettingsError(f"There is no setting called '{path}': it has no parts.")
        inner[last] = read_value(text)
    return values
