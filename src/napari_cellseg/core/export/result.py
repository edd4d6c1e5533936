"""The files of one segmentation: the labels and the recipe that gives them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.files import make_folder, write_text

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.segment import Segmentation


def result_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the paths of labels and recipe for results called `name`."""
    return folder / f"{name}_labels.tif", folder / f"{name}_recipe.json"


def save_result(result: Segmentation, folder: Path, name: str) -> tuple[Path, Path]:
    """Write labels, with what made them inside, and the recipe; existing files are replaced.

    Returns
    -------
    Paths of the label image and of the recipe.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    """
    labels_path, recipe_path = result_paths(make_folder(folder), name)
    labels = replace(result.labels, provenance=result.record.to_dict())
    write_text(recipe_path, result.recipe.to_json())
    write_labels(labels, labels_path)
    return labels_path, recipe_path
