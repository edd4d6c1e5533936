"""The command ``report``: labels and their reference in, a page with scores and errors out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from napari_cellseg.cli.console import follow, say
from napari_cellseg.core.agreement.object_errors import ErrorSettings
from napari_cellseg.core.errors import OutputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "labels", type=Path, metavar="LABELS", help="label image, or folder of label images"
    )
    parser.add_argument(
        "reference",
        type=Path,
        metavar="REFERENCE",
        help="what it should be: a label image, or a folder with files of the same names",
    )
    parser.add_argument(
        "--image", type=Path, metavar="IMAGE", help="image, or folder of images, for the pictures"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="page to write (.html)"
    )
    parser.add_argument(
        "--csv",
        action="store_true",
        help="write scores and errors as tables too, FILE_images.csv and FILE_errors.csv",
    )
    for name, field in ErrorSettings.model_fields.items():
        parser.add_argument(
            f"--{name}",
            metavar="IOU",
            default=field.default,
            help=f"{field.description} (default: {field.default:g})",
        )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist already")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the scores, and write the page.

    Returns
    -------
    0, or 1 if a file had no counterpart or could not be compared.
    """
    from napari_cellseg.core.agreement.pairs import find_label_pairs
    from napari_cellseg.core.workflows.agreement import make_report

    output: Path = arguments.output
    if output.is_dir():
        raise OutputError(f"'{output}' is a folder: name the file, such as report.html.")
    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"'{output.name}' is no name for a page: let it end in .html.")
    if output.exists() and not arguments.overwrite:
        raise OutputError(f"'{output}' exists already: choose another file, or add --overwrite.")
    settings = ErrorSettings.parse(
        {name: getattr(arguments, name) for name in ErrorSettings.model_fields}
    )
    pairs, alone = find_label_pairs(arguments.labels, arguments.reference, arguments.image)
    report = follow(
        make_report(
            pairs,
            labels=arguments.labels.name,
            reference=arguments.reference.name,
            settings=settings,
            skipped=alone,
            seed=arguments.seed,
        )
    )
    report.save(output, tables=arguments.csv)
    result = report.result
    say(
        json.dumps(result.as_dict(), ensure_ascii=False, indent=2)
        if arguments.json
        else result.text()
    )
    return 1 if result.skipped else 0
