"""Measure the objects of many label files, with their images where these are given."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cellseg.core.errors import CellsegError, DataError
from napari_cellseg.core.files import make_folder
from napari_cellseg.core.measure.measure import measure
from napari_cellseg.core.measure.saving import save_columns, save_table
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.measure.shape import PixelSize
from napari_cellseg.core.measure.summary import By, summarize
from napari_cellseg.core.measure.table import MeasureTable, stacked
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.provenance import installed_versions, now
from napari_cellseg.core.reading import read_image, read_labels, with_axes_of
from napari_cellseg.core.workflows.measure_cases import MeasureCase, decisions_beside


@dataclass(frozen=True)
class MeasuredFiles:
    """The measurements of many files.

    Attributes
    ----------
    table
        All objects, with columns `image` and `group`.
    settings
        What was measured.
    cases
        What was to be measured.
    skipped
        Label files that could not be measured, and why.
    """

    table: MeasureTable
    settings: MeasureSettings
    cases: tuple[MeasureCase, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def save(self, path: Path, *, summaries: bool = False) -> list[Path]:
        """Write the table, what is told about it, and the summaries of images and groups.

        Returns
        -------
        The tables.

        Raises
        ------
        OutputError
            If the ending of `path` is not .csv or .parquet, or a file cannot be written.
        """
        make_folder(path.parent)
        save_table(self.table, path, self._made())
        wanted: dict[By, Path] = {}
        if summaries:
            wanted = {"image": _beside(path, "images"), "group": _beside(path, "groups")}
        for by, beside in wanted.items():
            save_columns(summarize(self.table, by), beside)
        return [path, *wanted.values()]

    def _made(self) -> dict[str, Any]:
        return {
            "settings": self.settings.model_dump(mode="json"),
            "files": [
                {"image": one.name, "labels": str(one.labels), "pixels": str(one.image or "")}
                for one in self.cases
                if str(one.labels) not in self.skipped
            ],
            "skipped": dict(self.skipped),
            "made": now(),
            "versions": installed_versions(),
        }


def summary_paths(path: Path) -> list[Path]:
    """Return where `MeasuredFiles.save` puts the summaries of the table in `path`."""
    return [_beside(path, "images"), _beside(path, "groups")]


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}_{what}{path.suffix}")


def measure_files(
    cases: Sequence[MeasureCase],
    settings: MeasureSettings | None = None,
    *,
    pixel_size: PixelSize = None,
) -> Generator[Progress, None, MeasuredFiles]:
    """Measure label files one after the other; one that cannot be measured is left out and named.

    Beside the labels, ``NAME_objects.csv`` as `segment` writes it gives class and margin; label
    files that were corrected here tell what is locked, edited and accepted.

    Yields
    ------
    Progress
        Done and total count files; ``message`` says why a file was left out.

    Raises
    ------
    DataError
        If no file could be measured.
    """
    settings = settings or MeasureSettings()
    tables, skipped = [], {}
    for number, case in enumerate(cases):
        yield Progress("Measuring", number, len(cases))
        try:
            with closing(_measure_case(case, settings, pixel_size)) as run:
                table = yield from _as_files(run, number, len(cases))
            tables.append(table.named(case.name, case.group))
        except CellsegError as error:
            skipped[str(case.labels)] = str(error)
            if len(cases) > 1:
                yield Progress("Measuring", number, len(cases), f"{case.labels}: {error}")
    if not tables:
        raise DataError(
            next(iter(skipped.values()), "There are no labels to measure: name a label image.")
        )
    return MeasuredFiles(stacked(tables), settings, tuple(cases), skipped)


def _as_files(
    run: Generator[Progress, None, MeasureTable], number: int, total: int
) -> Generator[Progress, None, MeasureTable]:
    """Pass the steps on, of several files as progress in these, so that one can cancel at each."""
    while True:
        try:
            step = next(run)
        except StopIteration as stop:
            table: MeasureTable = stop.value
            return table
        yield step if total == 1 else Progress("Measuring", number, total, step.message)


def _measure_case(
    case: MeasureCase, settings: MeasureSettings, pixel_size: PixelSize
) -> Generator[Progress, None, MeasureTable]:
    labels = read_labels(case.labels)
    image = None
    if case.image is not None:
        image = with_axes_of(read_image(case.image, guess=True), labels)
    decisions = decisions_beside(case.labels, labels, case.name)
    return (yield from measure(labels, image, settings, decisions, pixel_size=pixel_size))
