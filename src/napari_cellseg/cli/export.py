"""The command ``export``: labels from one format to another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cellseg.cli.choices import MEASURED, split_setting
from napari_cellseg.cli.console import complain, follow, say
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.wording import counted

if TYPE_CHECKING:
    from napari_cellseg.core.arrays import Image, Labels
    from napari_cellseg.core.components import Params
    from napari_cellseg.core.export.registry import Imported
    from napari_cellseg.core.measure.decisions import Decisions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "labels",
        type=Path,
        metavar="LABELS",
        help="label image, or a file of one of the formats that can be read back",
    )
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        help="label-tiff, ome-zarr, overlay, imagej-roi, geojson, coco, kaggle, outlines-text, "
        "measurements-csv or measurements-parquet (default: what the ending of FILE says)",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="file to write"
    )
    parser.add_argument(
        "--image",
        type=Path,
        metavar="IMAGE",
        help="the segmented image: background of the overlay, brightness to measure, and the size "
        "of labels from files that do not tell it",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="CSV",
        help="what is known about the objects: a column 'label', and for instance 'class', "
        "'score' (default: NAME_objects.csv beside the labels, where there is one)",
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure the objects and export that with them"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting of the format, such as dtype=uint32; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Read the labels, write them, and say how many objects there are."""
    from napari_cellseg.core.export.registry import EXPORTERS, exporter_for, importer_of
    from napari_cellseg.core.files import make_folder
    from napari_cellseg.core.reading import read_image, with_axes_of

    output: Path = arguments.output
    kind = EXPORTERS[arguments.to or exporter_for(output)]
    exporter = kind(_params(kind.Params, arguments.settings))
    if output.exists() and not arguments.overwrite:
        raise OutputError(f"'{output}' exists already: choose another file, or add --overwrite.")
    image = read_image(arguments.image, guess=True) if arguments.image is not None else None
    importer = importer_of(arguments.labels)
    found = importer.read(arguments.labels, image)
    if image is not None:
        image = with_axes_of(image, found.labels)
    if found.overlap:
        complain(
            f"{found.overlap} pixels belong to more than one object in '{arguments.labels}'; the "
            "smallest got each."
        )
    measure = arguments.measure or kind in [EXPORTERS[name] for name in MEASURED]
    table = _table(arguments, found, image, measure=measure)
    make_folder(output.parent)
    exporter.write(found.labels, output, image, table)
    say(f"{counted(found.labels.n_objects, 'object')}, {output}")
    return 0


def _params(params: type[Params], settings: list[str]) -> Params:
    """Return the settings of a format; pydantic turns the texts into numbers."""
    return params.parse(dict(split_setting(text) for text in settings))


def _table(
    arguments: argparse.Namespace, found: Imported, image: Image | None, *, measure: bool
) -> dict[str, Any] | None:
    """Return what is known about the objects: told, else found with them, and measured."""
    from napari_cellseg.core.export.measurements import read_table

    path: Path | None = arguments.table
    told: dict[str, Any] = dict(found.table) if path is None else read_table(path)
    if not told:
        told = _beside(arguments.labels, found.labels)
    if not measure or (path is not None and "area_px" in told):
        return told or None
    from napari_cellseg.core.measure.measure import measure as measured_objects

    return dict(follow(measured_objects(found.labels, image, decisions=_decisions(told))).columns)


def _beside(path: Path, labels: Labels) -> dict[str, Any]:
    """Return classes and margins that lie beside a label image, or that a person gave."""
    import numpy as np

    from napari_cellseg.core.measure.decisions import Decisions
    from napari_cellseg.core.workflows.measure_cases import decisions_beside

    known = decisions_beside(path, labels)
    ids = np.array(sorted({*(known.classes or ()), *(known.margin or ())}), np.int64)
    columns = Decisions(classes=known.classes, margin=known.margin).columns(ids)
    return {"label": ids, **columns} if columns else {}


def _decisions(told: dict[str, Any]) -> Decisions:
    """Return what a table tells about objects that cannot be measured."""
    from napari_cellseg.core.measure.decisions import Decisions

    def by_label(name: str, kinds: str) -> dict[int, Any] | None:
        if name not in told or told[name].dtype.kind not in kinds:
            return None
        return dict(zip(told["label"].tolist(), told[name].tolist(), strict=True))

    return Decisions(
        score=by_label("score", "fiu"),
        margin=by_label("margin", "fiu"),
        classes=by_label("class", "UO"),
    )
