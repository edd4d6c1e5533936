"""The command ``fit``: corrected labels in, a recipe with fitting post-processing out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from napari_cellseg.cli.choices import add_recipe_options, chosen_recipe
from napari_cellseg.cli.console import follow, say
from napari_cellseg.core.errors import OutputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "paths", nargs="+", metavar="IMAGE", help="image files and folders of images"
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        action="extend",
        required=True,
        metavar="PATH",
        help="corrected labels, files or folders, called NAME.tif or NAME_labels.tif for the "
        "image NAME",
    )
    parser.add_argument(
        "--reviewed",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATH",
        help="images, called NAME.tif or NAME_reviewed.tif, above 0 where every label is right; "
        "images without one are left out (default: all labels are right)",
    )
    add_recipe_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write the recipe there, for segment --recipe",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the recipe if the file exists"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Fit, print the scores before and after, and write the recipe."""
    from napari_cellseg.core.files import make_folder, write_text
    from napari_cellseg.core.reading import find_images
    from napari_cellseg.core.workflows.fit import find_cases, fit_files

    output: Path | None = arguments.output
    if output is not None and output.exists() and not arguments.overwrite:
        raise OutputError(f"'{output}' exists already: choose another file, or add --overwrite.")
    recipe = chosen_recipe(arguments)
    cases = find_cases(
        find_images(arguments.paths),
        label_files(arguments.labels),
        label_files(arguments.reviewed),
    )
    result, fitted = follow(fit_files(cases, recipe, device=arguments.device))
    if output is not None:
        make_folder(output.parent)
        write_text(output, fitted.to_json())
    say(json.dumps(result.as_dict(), indent=2) if arguments.json else result.text())
    return 0


def label_files(paths: list[str]) -> list[Path]:
    """Return the files named, and the image files in the folders named."""
    from napari_cellseg.core.reading import SUFFIXES

    files = []
    for path in map(Path, paths):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [one for one in inside if not path.is_dir() or one.suffix.lower() in SUFFIXES]
    return files
