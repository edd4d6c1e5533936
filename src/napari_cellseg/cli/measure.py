"""The command ``measure``: label images in, a table with a row an object out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_cellseg.cli.console import complain, follow, say
from napari_cellseg.core.errors import OutputError, SettingsError
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.wording import counted

if TYPE_CHECKING:
    from napari_cellseg.core.measure.table import MeasureTable

_SHOWN = (("area_um2", "area_px"), ("equivalent_diameter_um", "equivalent_diameter_px"))
"""Of each the first that there is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "labels",
        nargs="+",
        type=Path,
        metavar="LABELS",
        help="label images and folders of them",
    )
    parser.add_argument(
        "--image",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="IMAGE",
        help="images, or folders of them, to measure the brightness in: NAME.tif for the labels "
        "NAME.tif or NAME_labels.tif",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="TABLE",
        help="table to write, .csv or .parquet; TABLE.csv.json beside it explains the columns",
    )
    parser.add_argument(
        "--summary",
        action="store_true",
        help="write TABLE_images and TABLE_groups too, a row an image and a row a group",
    )
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="FILE",
        help='groups of the images as JSON, {"NAME": "GROUP"} (default: folder of the labels)',
    )
    parser.add_argument(
        "--pixel-size",
        nargs="+",
        type=float,
        metavar="UM",
        help="size of a pixel in µm, or its height and width (default: what the files say)",
    )
    for name, field in MeasureSettings.model_fields.items():
        unit = (field.json_schema_extra or {}).get("unit", "")  # type: ignore[union-attr]
        many = name == "kinds"
        default = " ".join(field.default) if many else field.default
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            nargs="+" if many else None,
            metavar=str(unit).upper() or ("KIND" if many else "WHICH"),
            help=f"{field.description} (default: {default})",
        )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist already")


def run(arguments: argparse.Namespace) -> int:
    """Measure, write the table, and print how many objects there are.

    Returns
    -------
    0, or 1 if a file could not be measured.
    """
    from napari_cellseg.core.measure.saving import check_format, described
    from napari_cellseg.core.workflows.measure import measure_files, summary_paths
    from napari_cellseg.core.workflows.measure_cases import find_measure_cases, read_groups

    output: Path = arguments.output
    check_format(output)
    targets = [output, described(output), *(summary_paths(output) if arguments.summary else [])]
    for target in targets:
        if target.exists() and not arguments.overwrite:
            raise OutputError(
                f"'{target}' exists already: choose another file, or add --overwrite."
            )
    given = {name: getattr(arguments, name) for name in MeasureSettings.model_fields}
    settings = MeasureSettings.parse({name: v for name, v in given.items() if v is not None})
    groups = read_groups(arguments.groups) if arguments.groups else None
    cases = find_measure_cases(arguments.labels, arguments.image, groups)
    size = _pixel_size(arguments.pixel_size)
    result = follow(measure_files(cases, settings, pixel_size=size))
    written = result.save(output, summaries=arguments.summary)
    for line in _told(result.table):
        say(line)
    say(f"{counted(len(result.table), 'object')}, {', '.join(map(str, written))}")
    for note in result.table.notes:
        complain(note)
    if result.skipped:
        complain(f"{len(result.skipped)} of {len(cases)} files could not be measured.")
    return 1 if result.skipped else 0


def _pixel_size(values: list[float] | None) -> tuple[float, float] | None:
    if values is None:
        return None
    if len(values) > 2 or not all(0 < value < float("inf") for value in values):
        raise SettingsError("--pixel-size takes one number above 0, or height and width, in µm.")
    return values[0], values[-1]


def _told(table: MeasureTable) -> Iterator[str]:
    """Return a line a group, with medians of what most people ask for first."""
    from napari_cellseg.core.measure.summary import summarize

    found = summarize(table, "group")
    some = [[name for name in names if f"{name}_median" in found] for names in _SHOWN]
    shown = [names[0] for names in some if names]
    for k, group in enumerate(found["group"].tolist()):
        medians = ", ".join(
            f"median {name} {found[f'{name}_median'][k]:.4g}"
            for name in shown
            if np.isfinite(found[f"{name}_median"][k])
        )
        objects, images = (
            counted(found["objects"][k], "object"),
            counted(found["images"][k], "image"),
        )
        yield f"{group}: {objects} in {images}{'; ' + medians if medians else ''}"
