"""The command ``evaluate``: scores against true labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cellseg.cli.choices import add_recipe_options, add_smallest_option, chosen_recipe
from napari_cellseg.cli.console import follow, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
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
        "--labels",
        type=Path,
        metavar="FOLDER",
        help="score the label images in this folder instead of running a model",
    )
    parser.add_argument(
        "--part",
        default="val",
        choices=("val", "train", "all"),
        help="part of split.json to take, where there is one (default: val)",
    )
    add_smallest_option(parser)
    add_recipe_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="write evaluation.csv and .json there, with classes also evaluation_classes.csv",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the scores."""
    from napari_cellseg.core.workflows.evaluate import evaluate, evaluate_labels

    part, smallest = None if arguments.part == "all" else arguments.part, arguments.smallest
    if arguments.labels is not None:
        workflow = evaluate_labels(arguments.labels, arguments.data, part=part, smallest=smallest)
    else:
        workflow = evaluate(
            chosen_recipe(arguments),
            arguments.data,
            part=part,
            device=arguments.device,
            smallest=smallest,
        )
    result = follow(workflow)
    if arguments.output is not None:
        result.save(arguments.output)
    say(result.to_json().rstrip() if arguments.json else result.table())
    return 0
