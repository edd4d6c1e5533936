"""The command ``models``: list, show, check, install, export and remove models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.cli.choices import add_device_option
from napari_cellseg.cli.console import complain, follow, say
from napari_cellseg.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_cellseg.core.zoo.store import ModelEntry

_ACTIONS = ("list", "show", "install", "export", "remove")
_OPTIONS = {  # which actions take them
    "check": ("show",),
    "name": ("install",),
    "sha256": ("install",),
    "replace": ("install", "export"),
    "output": ("export",),
    "format": ("export",),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("action", nargs="?", choices=_ACTIONS, default="list", help="default: list")
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="name, folder or zip of a model; 'install' also takes the address of a zip",
    )
    parser.set_defaults(late="model")  # argparse takes it for missing if an option stands before
    parser.add_argument("--json", action="store_true", help="list, show: print JSON")
    parser.add_argument(
        "--check", action="store_true", help="show: load the model and run its self-test"
    )
    add_device_option(parser)
    parser.add_argument("--name", metavar="NAME", help="install: what it is called here")
    parser.add_argument(
        "--sha256", metavar="HEX", help="install: checksum of the zip, 64 hexadecimal digits"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="export: zip to write, or folder to put it in (default: this folder)",
    )
    parser.add_argument(
        "--format",
        choices=("bundle", "bioimageio"),
        help="export: for napari-cellseg alone, or also for other programs that read BioImage.IO "
        "(default: bundle)",
    )
    parser.add_argument(
        "--replace", action="store_true", help="install, export: replace what is there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    action: str = arguments.action
    for option, actions in _OPTIONS.items():
        if getattr(arguments, option) and action not in actions:
            raise SettingsError(f"--{option} goes with 'models {' or '.join(actions)}' only.")
    if action == "list":
        return _list(arguments)
    if not arguments.model:
        raise SettingsError(f"Say which model: napari-cellseg models {action} MODEL.")
    return {"show": _show, "install": _install, "export": _export, "remove": _remove}[action](
        arguments
    )


def _list(arguments: argparse.Namespace) -> int:
    from napari_cellseg.core.zoo.store import list_models, user_folder

    entries = list_models(on_problem=complain)
    if arguments.json:
        rows = [
            {"name": one.name, "group": one.group, "folder": str(one.folder)} for one in entries
        ]
        say(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max((len(one.name) for one in entries), default=0)
    for one in entries:
        say(f"{one.name:{width}}  {one.group:8}  {one.card.title or one.card.architecture}")
    if not entries:
        say("No model is installed.")
    say(f"Your own models are kept in {user_folder()}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from napari_cellseg.core.zoo.store import find_model

    entry = find_model(arguments.model)
    say(entry.card.to_json().rstrip() if arguments.json else _describe(entry))
    if arguments.check:
        from napari_cellseg.core.device import choose_device
        from napari_cellseg.core.zoo.bundle import load_untested
        from napari_cellseg.core.zoo.self_test import check

        device = choose_device(arguments.device).device
        deviation = check(load_untested(entry.folder), entry.folder, device)
        told = f"self-test right on {device} ({deviation})" if deviation else "it has no self-test"
        complain(f"Weights intact; {told}.")
    return 0


def _install(arguments: argparse.Namespace) -> int:
    from napari_cellseg.core.zoo.install import install_model

    entry = follow(
        install_model(
            arguments.model,
            name=arguments.name,
            sha256=arguments.sha256,
            replace=arguments.replace,
        )
    )
    say(f"{entry.name}: {entry.folder}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    target = arguments.output or Path.cwd()
    if arguments.format == "bioimageio":
        from napari_cellseg.core.zoo.bioimageio import export_bioimageio as export
    else:
        from napari_cellseg.core.zoo.export import export_model as export

    say(str(export(arguments.model, target, replace=arguments.replace)))
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from napari_cellseg.core.zoo.install import remove_model

    say(f"Removed {remove_model(arguments.model)}")
    return 0


def _describe(entry: ModelEntry) -> str:
    card = entry.card
    (low, high), small = card.diameter_range, card.enlarged_diameter
    lines = {
        "Name": card.name,
        "Title": card.title,
        "Description": card.description,
        "Network": card.architecture,
        "Takes": ", ".join(card.channels),
        "Object diameter": f"{card.object_diameter:g} px (without rescaling {low:g}–{high:g} px)"
        + (f", smaller ones enlarged to {small:g} px" if small else ""),
        "Pixel size": f"{card.pixel_size:g} µm" if card.pixel_size else "",
        "Trained on": "; ".join(
            f"{one.name} ({one.images} images, {one.licence})" for one in card.data
        ),
        "Speed": f"{card.seconds_per_megapixel:g} processor seconds a megapixel"
        if card.seconds_per_megapixel
        else "",
        "Licence": card.licence,
        "Made from": " → ".join(card.lineage),
        "Created": card.created,
        "Weights": f"SHA-256 {card.weights_sha256}",
        "Self-test": "yes" if card.self_test_sha256 else "none",
        "Folder": str(entry.folder),
    }
    lines |= {
        f"Scores on {data}": ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        for data, scores in card.scores.items()
    }
    return "\n".join(f"{key}: {value}" for key, value in lines.items() if value)
