"""The command ``batch``: many images under one recipe, taken up again where it was left."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.cli.choices import (
    MEASURED,
    add_reading_options,
    add_recipe_options,
    chosen_recipe,
)
from napari_cellseg.cli.console import complain, follow, say
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.wording import counted

if TYPE_CHECKING:
    from napari_cellseg.core.batch.inputs import BatchInput
    from napari_cellseg.core.batch.settings import BatchSettings
    from napari_cellseg.core.recipe import Recipe

    Order = tuple[list[BatchInput], Recipe, BatchSettings]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.epilog = (
        "What is finished in FOLDER already, with the same recipe and from files that have not "
        "changed, is not done again: run the same command after a crash. FOLDER then holds "
        "labels/NAME_labels.tif, recipe.json, summary.csv, report.txt and, with --measure, "
        "measurements.csv over all images."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="INPUT",
        help="image files and folders of images; of files that hold several, all are taken",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="where to write results"
    )
    parser.add_argument(
        "--jobs-file", type=Path, metavar="FILE", help="text file that names images, one a line"
    )
    add_recipe_options(parser)
    add_reading_options(parser)
    parser.add_argument(
        "--measure", action="store_true", help="measure every object, in one table over all images"
    )
    parser.add_argument(
        "--also",
        metavar="FORMAT",
        action="append",
        default=[],
        help="write the objects in this format too, such as imagej-roi, geojson or coco, in "
        "FOLDER/FORMAT; may be repeated",
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="leave out what is finished (this is the default); without INPUT, go on with the "
        "batch in FOLDER: the same images, recipe and tables",
    )
    again.add_argument(
        "--again", action="store_true", help="do everything again, also what is finished"
    )


def run(arguments: argparse.Namespace) -> int:
    """Segment every image; a bad one is reported and left out.

    Returns
    -------
    0 if all images are segmented, else 1.
    """
    from napari_cellseg.core.batch.queue import FINISHED_BEFORE, Queue, State
    from napari_cellseg.core.workflows.batch import batch

    inputs, recipe, settings = _taken_up(arguments) or _asked_for(arguments)
    work = batch(
        Queue(inputs), recipe, arguments.output, settings=settings, device=arguments.device
    )
    result = follow(work, arguments.output.name)
    for item in result.items:
        if item.note == FINISHED_BEFORE:
            say(f"{item.input.title}: finished before, {counted(item.objects or 0, 'object')}")
        elif item.state == State.DONE:
            say(f"{item.input.title}: {counted(item.objects or 0, 'object')}")
    failed, count = result.number(State.FAILED), len(result.items)
    if failed:
        report = arguments.output / "report.txt"
        complain(f"{failed} of {count} images could not be segmented; see '{report}'.")
    say(f"{count - failed} of {count} images are in '{arguments.output}'")
    return 1 if failed else 0


def _asked_for(arguments: argparse.Namespace) -> Order:
    """Return what the options ask for."""
    from napari_cellseg.core.batch.inputs import find_inputs, read_list
    from napari_cellseg.core.batch.settings import BatchSettings

    recipe = chosen_recipe(arguments)
    listed = read_list(arguments.jobs_file) if arguments.jobs_file else []
    if not arguments.paths and not listed:
        raise SettingsError(
            "There is nothing to do: name images, folders, or a --jobs-file; or --resume."
        )
    inputs = find_inputs([*arguments.paths, *listed], axes=arguments.axes, series=arguments.series)
    formats = tuple(dict.fromkeys(arguments.also))
    measure = arguments.measure or any(kind in MEASURED for kind in formats)
    settings = BatchSettings(measure=measure, again=arguments.again, formats=formats)
    return inputs, recipe, settings


def _taken_up(arguments: argparse.Namespace) -> Order | None:
    """Return what the batch in the folder was to do, if it is to be taken up as it is."""
    if not arguments.resume or arguments.paths or arguments.jobs_file:
        return None
    from napari_cellseg.core.batch.plan import read_plan

    changed = (arguments.model, arguments.recipe, arguments.diameter, arguments.channels)
    if any(one is not None for one in changed) or arguments.settings:
        raise SettingsError(
            "--resume without images goes on with the recipe of the batch: leave out --model, "
            "--recipe, --set, --diameter and --channels, or name the images."
        )
    plan, recipe = read_plan(arguments.output)
    if plan.layers:
        complain(f"Left out, because they came from no file: {', '.join(plan.layers)}.")
    return plan.inputs(), recipe, plan.settings
