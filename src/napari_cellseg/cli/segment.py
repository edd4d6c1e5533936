"""The command ``segment``: images and folders in, label images and recipes out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.cli.choices import add_reading_options, add_recipe_options, chosen_recipe
from napari_cellseg.cli.console import complain, follow, say
from napari_cellseg.core.errors import CellsegError, DeviceError, OutputError
from napari_cellseg.core.wording import counted

if TYPE_CHECKING:
    from napari_cellseg.core.recipe import Recipe
    from napari_cellseg.core.zoo.bundle import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="image files and folders of images"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="where to write results"
    )
    add_recipe_options(parser)
    add_reading_options(parser)
    parser.add_argument(
        "--overwrite",
        choices=("refuse", "skip", "replace"),
        default="refuse",
        help="what to do where a result exists already (default: refuse)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Segment every image; a bad one is reported and skipped.

    Returns
    -------
    0 if all images were segmented (or skipped as asked), else 1.
    """
    from napari_cellseg.core.batch.names import result_names
    from napari_cellseg.core.device import choose_device
    from napari_cellseg.core.files import make_folder
    from napari_cellseg.core.reading import find_images
    from napari_cellseg.core.reading.series import one_a_set
    from napari_cellseg.core.zoo.bundle import load_bundle
    from napari_cellseg.core.zoo.store import find_model

    recipe = chosen_recipe(arguments)
    images = result_names(one_a_set(find_images(arguments.paths)))
    choose_device(arguments.device)  # a wrong one is no file's fault
    make_folder(arguments.output)
    model = load_bundle(find_model(recipe.model).folder)
    failed = 0
    for number, (path, name) in enumerate(images.items(), 1):
        title = f"[{number}/{len(images)}] {path.name}" if len(images) > 1 else path.name
        try:
            _segment_file(path, name, title, recipe, model, arguments)
        except DeviceError:
            raise  # it would fail for every file
        except CellsegError as error:
            if arguments.debug:
                raise
            failed += 1
            complain(f"{path}: {error}")
    if failed:
        complain(f"{failed} of {len(images)} images could not be segmented.")
    return 1 if failed else 0


def _segment_file(
    path: Path, name: str, title: str, recipe: Recipe, model: Model, arguments: argparse.Namespace
) -> None:
    from napari_cellseg.core.export.result import result_paths, save_result
    from napari_cellseg.core.reading import read_image
    from napari_cellseg.core.workflows.segment import segment

    targets = result_paths(arguments.output, name)
    if any(target.exists() for target in targets):
        if arguments.overwrite == "skip":
            say(f"{path}: skipped, {targets[0]} exists")
            return
        if arguments.overwrite == "refuse":
            raise OutputError(
                f"'{targets[0]}' exists already: choose another folder, or --overwrite replace or "
                "skip."
            )
    image = read_image(path, axes=arguments.axes, series=arguments.series)
    result = follow(segment(image, recipe, model=model, device=arguments.device), title)
    labels_path, *_ = save_result(result, arguments.output, name)
    say(f"{path}: {counted(result.labels.n_objects, 'object')}, {labels_path}")
