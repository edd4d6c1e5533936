"""The command ``models``: what is installed, and what a model says about itself."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from napari_cellseg.cli.console import complain, say
from napari_cellseg.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_cellseg.core.zoo.store import ModelEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "show"), default="list", help="default: list"
    )
    parser.add_argument("name", nargs="?", help="name or folder of the model to show")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """List the models, or show the card of one."""
    from napari_cellseg.core.zoo.store import find_model, list_models, user_folder

    if arguments.action == "show":
        if not arguments.name:
            raise SettingsError("Say which model: napari-cellseg models show NAME.")
        entry = find_model(arguments.name)
        say(entry.card.to_json().rstrip() if arguments.json else _describe(entry))
        return 0
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


def _describe(entry: ModelEntry) -> str:
    card = entry.card
    low, high = card.diameter_range
    lines = {
        "Name": card.name,
        "Title": card.title,
        "Description": card.description,
        "Network": card.architecture,
        "Takes": ", ".join(card.channels),
        "Object diameter": f"{card.object_diameter:g} px (without rescaling {low:g}–{high:g} px)",
        "Pixel size": f"{card.pixel_size:g} µm" if card.pixel_size else "",
        "Trained on": "; ".join(
            f"{one.name} ({one.images} images, {one.licence})" for one in card.data
        ),
        "Licence": card.licence,
        "Made from": " → ".join(card.lineage),
        "Created": card.created,
        "Folder": str(entry.folder),
    }
    lines |= {
        f"Scores on {data}": ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        for data, scores in card.scores.items()
    }
    return "\n".join(f"{key}: {value}" for key, value in lines.items() if value)
