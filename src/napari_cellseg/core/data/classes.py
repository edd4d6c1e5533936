"""The file ``classes.csv`` of a data folder: which kind of object each labelled object is."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError

FILE = "classes.csv"
COLUMNS = ("id", "label", "class")

ClassesOf = dict[int, str]
"""Class names by the number of the object in a label image."""


def read_classes(folder: Path, names: Collection[str]) -> dict[str, ClassesOf]:
    """Read the classes of the objects of a data folder.

    Parameters
    ----------
    folder
        May hold ``classes.csv``: the columns ``id`` (the image's name without suffix), ``label``
        (the object's number in the label image) and ``class`` (any name), a row an object. Objects
        may be left out; other columns are ignored.
    names
        Names of the folder's images.

    Returns
    -------
    By image name; images without rows are left out. Empty without the file.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or has a row that cannot be right.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    found: dict[str, ClassesOf] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(f"'{path}' has no column '{missing[0]}'. Add it to the first row.")
            for number, row in enumerate(rows, 2):
                name, label, kind = _checked(row, names, f"Row {number} of '{path}'")
                known = found.setdefault(name, {}).setdefault(label, kind)
                if known != kind:
                    raise DataError(
                        f"Row {number} of '{path}' calls object {label} of '{name}' '{kind}', an "
                        f"earlier one '{known}'. Remove one of them."
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' cannot be read: {error}. Save it as CSV in UTF-8.") from error
    return found


def _checked(
    row: Mapping[str, str | None], names: Collection[str], where: str
) -> tuple[str, int, str]:
    name, label, kind = ((row[column] or "").strip() for column in COLUMNS)
    if name not in names:
        raise DataError(
            f"{where} names the image '{name}', which is not there. Write the name of a file in "
            "images/ without its suffix."
        )
    if not label.isdecimal() or not int(label):
        raise DataError(f"{where} has the label '{label}'. Write the object's number, from 1.")
    if not kind:
        raise DataError(f"{where} has no class. Name one, or remove the row.")
    return name, int(label), kind


def check_labels(classes: Mapping[int, str], labels: npt.NDArray[np.integer], name: str) -> None:
    """Refuse classes of objects that the labels of image `name` lack.

    Raises
    ------
    DataError
        If there is such an object: then the file was made for other labels.
    """
    foreign = np.setdiff1d(np.fromiter(classes, np.int64, len(classes)), labels)
    if len(foreign):
        raise DataError(
            f"{FILE} has a class for object {foreign[0]} of '{name}', which its labels lack. "
            "Correct or remove the row."
        )


def read_object_classes(path: Path, labels: npt.NDArray[np.integer]) -> ClassesOf:
    """Read a table of found objects, as ``segment`` writes it: columns ``label`` and ``class``.

    Parameters
    ----------
    path
        The file; without it nothing is known.
    labels
        The labels that it belongs to.

    Raises
    ------
    DataError
        If it cannot be read, or does not name every object of `labels`.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = {int(row["label"]): row["class"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise DataError(f"'{path}' is no table of label and class: segment again.") from error
    missing = np.setdiff1d(labels[labels > 0], np.fromiter(found, np.int64, len(found)))
    if len(missing):
        raise DataError(f"'{path}' lacks object {missing[0]} of its labels: segment again.")
    return found
