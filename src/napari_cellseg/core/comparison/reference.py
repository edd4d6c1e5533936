"""Our figures beside those that the papers print, on the same data where a folder holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_cellseg.core.comparison.papers import (
    COUNTERPARTS,
    PaperTable,
    tables_for_architectures,
    tables_for_data,
)
from napari_cellseg.core.comparison.result import ComparedModel, Comparison, aligned, to_csv
from napari_cellseg.core.files import write_text

_OTHER_DATA = (
    "None of the data folders is named after a data set of the papers. These are the papers' "
    "figures for the same networks on other images: they cannot be compared with those above."
)
_NOTHING = "The papers print no figures for these data or these networks."


def reference_text(comparison: Comparison) -> str:
    """Return the papers' tables for the data of a comparison, each with the models beside.

    A folder counts as a data set of a paper if its name contains the data set's. Where no folder
    does, the papers' figures for the compared architectures are given, and said to be from other
    images.
    """
    same = _same_data(comparison)
    if same:
        return "\n\n".join(_block(table, comparison, folder) for folder, table in same)
    tables = tables_for_architectures(one.architecture for one in comparison.models)
    if not tables:
        return _NOTHING
    return "\n\n".join([_OTHER_DATA, *(_block(table, comparison, None) for table in tables)])


def reference_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the same figures, one row a system and metric; ``same_data`` tells which compare."""
    same = _same_data(comparison)
    tables = [table for _, table in same] or tables_for_architectures(
        one.architecture for one in comparison.models
    )
    return [
        {
            "paper": table.paper,
            "data": table.data,
            "system": system,
            "metric": metric,
            "value": value,
            "same_data": bool(same),
        }
        for table in tables
        for system, *values in table.rows
        for metric, value in zip(table.metrics, values, strict=True)
    ]


def save_reference(comparison: Comparison, folder: Path) -> None:
    """Write ``reference.txt`` and ``reference.csv`` into a folder that exists.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    write_text(folder / "reference.txt", reference_text(comparison) + "\n")
    write_text(folder / "reference.csv", to_csv(reference_rows(comparison)))


def _same_data(comparison: Comparison) -> list[tuple[str, PaperTable]]:
    return [
        (folder.name, table) for folder in comparison.folders for table in tables_for_data(folder)
    ]


def _block(table: PaperTable, comparison: Comparison, folder: str | None) -> str:
    lines = [[table.data, *table.metrics]]
    lines += [[name, *(f"{value:g}" for value in values)] for name, *values in table.rows]
    if folder is not None:
        lines += [_our_line(model, table, folder) for model in comparison.models]
    text = [f"{table.paper}:", aligned(lines)]
    return "\n".join([*text, table.remark] if table.remark else text)


def _our_line(model: ComparedModel, table: PaperTable, folder: str) -> list[str]:
    values: Mapping[str, float] = model.scores(folder)
    if model.cost is not None:
        values = {**values, "parameters": model.cost.parameters / 1e6}
    ours = [values.get(COUNTERPARTS.get(metric, "")) for metric in table.metrics]
    return [f"here: {model.name}", *("–" if one is None else f"{one:.4g}" for one in ours)]
