"""The command ``batch``: many images under one recipe, taken up again where it was left."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cellseg.cli.choices import add_reading_options, add_recipe_options, chosen_recipe
from napari_cellseg.cli.console import complain, follow, say
from napari_cellseg.core.errors import SettingsError


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
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="leave out what is finished (this is the default)"
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
    from napari_cellseg.core.batch.inputs import find_inputs, read_list
    from napari_cellseg.core.batch.queue import Queue, State
    from napari_cellseg.core.batch.settings import BatchSettings
    from napari_cellseg.core.workflows.batch import FINISHED_BEFORE, batch

    recipe = chosen_recipe(arguments)
    listed = read_list(arguments.jobs_file) if arguments.jobs_file else []
    if not arguments.paths and not listed:
        raise SettingsError("There is nothing to do: name images, folders, or a --jobs-file.")
    inputs = find_inputs([*arguments.paths, *listed], axes=arguments.axes, series=arguments.series)
    settings = BatchSettings(measure=arguments.measure, again=arguments.again)
    work = batch(
        Queue(inputs), recipe, arguments.output, settings=settings, device=arguments.device
    )
    result = follow(work, arguments.output.name)
    for item in result.items:
        if item.note == FINISHED_BEFORE:
            say(f"{item.input.title}: finished before, {item.objects} objects")
        elif item.state == State.DONE:
            say(f"{item.input.title}: {item.objects} objects")
    failed, count = result.number(State.FAILED), len(result.items)
    if failed:
        report = arguments.output / "report.txt"
        complain(f"{failed} of {count} images could not be segmented; see '{report}'.")
    say(f"{count - failed} of {count} images are in '{arguments.output}'")
    return 1 if failed else 0
