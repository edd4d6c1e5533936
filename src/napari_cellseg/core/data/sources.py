"""Folders of images and labels, read into memory for training."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.data.classes import check_labels, read_classes
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.inference.preparation import (
    Normalization,
    normalize,
    percentile_limits,
)
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import read_image, read_labels

_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".npy")


@dataclass(frozen=True)
class Pair:
    """One image file and its label file.

    Attributes
    ----------
    name
        The stem that both files share.
    image, labels
        The files.
    group
        Kind of image, such as ``"fluorescence_gray"``; the folder's name where none is given.
    classes
        Classes of the objects by their numbers, as far as ``classes.csv`` gives them.
    """

    name: str
    image: Path
    labels: Path
    group: str
    classes: Mapping[int, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class LabelledImage:
    """One labelled image, ready for patches.

    Attributes
    ----------
    name, group
        As in `Pair`.
    image
        float16 (Y, X, C), normalised to [0, 1]; C is 1 (grey) or 3 (colour).
    labels
        int32 (Y, X), 0 is background.
    diameter
        Median diameter of a circle of each object's area, in pixels; 0 without objects.
    classes
        As in `Pair`.
    known
        Boolean (Y, X), where the labels are the truth; None: everywhere.
    """

    name: str
    group: str
    image: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int32]
    diameter: float
    classes: Mapping[int, str] = field(default_factory=dict)
    known: npt.NDArray[np.bool_] | None = None


def find_pairs(folder: Path, part: str | None = None) -> list[Pair]:
    """List the pairs of ``folder/images`` and ``folder/labels``.

    Parameters
    ----------
    folder
        Holds ``images/`` and ``labels/`` with files of equal stems, and optionally ``split.json``
        (``{"train": [stems], "val": [stems]}``), ``groups.json`` (``{stem: group}``) and
        ``classes.csv`` (see `read_classes`).
    part
        A part of ``split.json``; None takes every pair.

    Raises
    ------
    DataError
        If a folder, the asked part or every pair is missing, or a listed image has no label file.
    """
    images, labels = _files(folder, "images"), _files(folder, "labels")
    groups: dict[str, str] = _read_json(folder / "groups.json") or {}
    names: list[str] = sorted(images)
    if part is not None:
        split = _read_json(folder / "split.json")
        if split is None or part not in split:
            raise DataError(
                f"'{folder}' has no split.json with a part '{part}'. Add one, or use all images."
            )
        names = split[part]
    missing = [name for name in names if name not in images or name not in labels]
    if missing or not names:
        what = f"'{missing[0]}' lacks an image or a label file" if missing else "no image was found"
        raise DataError(
            f"In '{folder}' {what}. Each image in images/ needs a file of the same name in labels/."
        )
    classes = read_classes(folder, images)
    return [
        Pair(n, images[n], labels[n], groups.get(n, folder.name), classes.get(n, {})) for n in names
    ]


def has_split(folder: Path) -> bool:
    """Tell whether the folder says itself which images are for training."""
    return (folder / "split.json").is_file()


def _files(folder: Path, kind: str) -> dict[str, Path]:
    place = folder / kind
    if not place.is_dir():
        raise DataError(
            f"'{folder}' has no folder '{kind}'. Give a folder that holds images/ and labels/."
        )
    return {p.stem: p for p in sorted(place.iterdir()) if p.suffix.lower() in _SUFFIXES}


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"'{path}' is not valid JSON ({error}). Correct or remove it.") from error
    if not isinstance(content, dict):
        raise DataError(f"'{path}' must hold a JSON object. Correct or remove it.")
    return content


def median_diameter(labels: npt.NDArray[np.integer]) -> float:
    """Return the median equivalent diameter of all objects in pixels, 0.0 without objects."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(2 * np.sqrt(np.median(areas) / np.pi)) if len(areas) else 0.0


def load_pairs(
    pairs: Sequence[Pair], normalization: Normalization
) -> Generator[Progress, None, list[LabelledImage]]:
    """Read, check and normalise labelled images.

    Yields
    ------
    Progress
        One step an image.

    Raises
    ------
    DataError
        If a file cannot be read or image and labels differ in size.
    """
    loaded = []
    for done, pair in enumerate(pairs):
        yield Progress("Reading training data", done, len(pairs))
        loaded.append(_load(pair, normalization))
    return loaded


def _load(pair: Pair, normalization: Normalization) -> LabelledImage:
    try:
        image, labels = read_image(pair.image), read_labels(pair.labels)
    except ImageError as error:
        raise DataError(f"Training data cannot be read: {error}") from error
    plane = _single_plane(image, pair)
    if labels.data.shape != plane.shape[:2]:
        raise DataError(
            f"The labels of '{pair.image}' are {labels.data.shape} px but the image is "
            f"{plane.shape[:2]} px. Replace the one that is wrong."
        )
    check_labels(pair.classes, labels.data, pair.name)
    limits = percentile_limits(plane, normalization.low, normalization.high, joint=image.rgb)
    return LabelledImage(
        pair.name,
        pair.group,
        normalize(plane, limits).astype(np.float16),
        np.asarray(labels.data, dtype=np.int32),
        median_diameter(labels.data),
        pair.classes,
    )


def _single_plane(image: Image, pair: Pair) -> npt.NDArray[np.generic]:
    planes = list(image.planes())
    if len(planes) != 1:
        raise DataError(
            f"'{pair.image}' is a stack of {len(planes)} planes. Training takes single planes: "
            "save each as an image of its own."
        )
    return image.plane(planes[0], None)
