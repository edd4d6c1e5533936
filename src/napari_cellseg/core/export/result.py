"""The files of one segmentation: labels, the recipe that gives them again, the objects' classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.files import make_folder, output_error, write_text

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.segment import Segmentation


def result_paths(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Return the paths of labels, recipe and table of objects for results called `name`."""
    endings = ("labels.tif", "recipe.json", "objects.csv")
    labels, recipe, objects = (folder / f"{name}_{ending}" for ending in endings)
    return labels, recipe, objects


def save_result(result: Segmentation, folder: Path, name: str) -> tuple[Path, ...]:
    """Write labels, with what made them inside, and the recipe; existing files are replaced.

    With classes, a table of objects (see `ObjectClasses.to_csv`) is written too; without, an older
    table of that name, which belonged to other labels, is removed.

    Returns
    -------
    Paths of the label image, of the recipe, and of the table if there is one.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    """
    labels_path, recipe_path, objects_path = result_paths(make_folder(folder), name)
    labels = replace(result.labels, provenance=result.record.to_dict())
    write_text(recipe_path, result.recipe.to_json())
    if result.classes is None:
        _remove(objects_path)
    else:
        write_text(objects_path, result.classes.to_csv())
    write_labels(labels, labels_path)
    return (labels_path, recipe_path, *([objects_path] if result.classes else []))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
