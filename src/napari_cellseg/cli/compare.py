"""The command ``compare``: several models on the same labelled images, in one table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from napari_cellseg.cli.choices import add_device_option, add_smallest_option
from napari_cellseg.cli.console import follow, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "--models",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME",
        help="names or folders of models, such as a,b,c",
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
        "--split",
        "--part",
        default="val",
        choices=("val", "train", "all"),
        help="part of split.json to take, where there is one (default: val)",
    )
    add_smallest_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--reference", action="store_true", help="show the papers' own figures beside"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="write table, CSV and plot there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Compare and print the table.

    Returns
    -------
    0, or 1 if an image was skipped or a model could not be run.
    """
    from napari_cellseg.core.comparison.reference import (
        reference_rows,
        reference_text,
        save_reference,
    )
    from napari_cellseg.core.workflows.compare import compare

    part = None if arguments.split == "all" else arguments.split
    models = split_names(arguments.models)
    result = follow(
        compare(
            models,
            arguments.data,
            part=part,
            device=arguments.device,
            smallest=arguments.smallest,
        )
    )
    if arguments.output is not None:
        result.save(arguments.output)
        if arguments.reference:
            save_reference(result, arguments.output)
    if arguments.json:
        further = {"reference": reference_rows(result)} if arguments.reference else {}
        say(json.dumps({**result.as_dict(), **further}, ensure_ascii=False, indent=2))
    else:
        say(result.table())
        if arguments.reference:
            say("\n" + reference_text(result))
    return 0 if result.complete else 1


def split_names(words: list[str]) -> list[str]:
    """Divide words at their commas, but for a path that has one and exists.

    Examples
    --------
    >>> split_names(["a,b", "c"])
    ['a', 'b', 'c']
    """
    return [
        name.strip()
        for word in words
        for name in ([word] if Path(word).exists() else word.split(","))
        if name.strip()
    ]
