"""Labels and their references: arrays, two files, or the files of two folders by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.reading import SUFFIXES, read_image, read_labels, stem, with_axes_of

ENDINGS = ("_labels", "_cp_masks", "_masks", "_seg")
"""What may stand behind the name of an image in the name of its label file."""


class LabelPair(Protocol):
    """Labels with their reference, perhaps with the image."""

    @property
    def name(self) -> str:
        """Name of the image."""
        ...

    def read(self) -> tuple[npt.ArrayLike, npt.ArrayLike, Image | None]:
        """Return labels, reference and image."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayPair:
    """A pair that is in memory, see `LabelPair`."""

    name: str
    labels: npt.ArrayLike
    reference: npt.ArrayLike
    image: Image | None = None

    def read(self) -> tuple[npt.ArrayLike, npt.ArrayLike, Image | None]:
        """Return labels, reference and image."""
        return self.labels, self.reference, self.image


def array_pair(labels: Any, reference: Any, image: Image | None = None) -> ArrayPair:
    """Make a pair of arrays, `Labels` or paths of label images; it is named after the image.

    Raises
    ------
    ImageError
        If a file cannot be read.
    """
    ours, theirs = (
        read_labels(one) if isinstance(one, str | Path) else one for one in (labels, reference)
    )
    name = image.name if image is not None else getattr(ours, "name", "labels")
    a, b = (one.data if isinstance(one, Labels) else one for one in (ours, theirs))
    return ArrayPair(str(name), a, b, image)


@dataclass(frozen=True)
class FilePair:
    """A pair of files, see `LabelPair`."""

    name: str
    labels: Path
    reference: Path
    image: Path | None = None

    def read(self) -> tuple[npt.ArrayLike, npt.ArrayLike, Image | None]:
        """Read the files; axes of an image that are in doubt are those of labels of its shape.

        Raises
        ------
        ImageError
            If one cannot be read.
        """
        labels, reference = read_labels(self.labels), read_labels(self.reference)
        if self.image is None:
            return labels.data, reference.data, None
        image = with_axes_of(read_image(self.image, guess=True), labels)
        return labels.data, reference.data, image


def find_label_pairs(
    labels: Path, reference: Path, image: Path | None = None
) -> tuple[list[FilePair], Mapping[str, str]]:
    """Put together the files of each image.

    Parameters
    ----------
    labels, reference
        Two label files, or two folders of them. In folders the files of one name belong together;
        one of `ENDINGS` behind it does not count, and of ``a.tif`` and ``a_labels.tif`` in one
        folder the second holds the labels.
    image
        Likewise the image file, or the folder of images of the same names.

    Returns
    -------
    pairs
        By name.
    alone
        Names of the files without a counterpart, and a sentence that says so.

    Raises
    ------
    DataError
        If a path does not exist, one is a file and the other a folder, or nothing goes together.
    """
    paths = [path for path in (labels, reference, image) if path is not None]
    for path in paths:
        if not path.exists():
            raise DataError(f"There is no file or folder '{path}': check the path.")
    if len({path.is_dir() for path in paths}) > 1:
        raise DataError(
            "Labels, reference and image must be files, or all be folders: "
            + ", ".join(f"'{path}' is a {_kind(path)}" for path in paths)
            + "."
        )
    if labels.is_file():
        return [FilePair(_name(labels)[0], labels, reference, image)], {}
    ours, theirs = _label_files(labels), _label_files(reference)
    images = {} if image is None else {stem(path): path for path in _files(image)}
    pairs = [
        FilePair(name, ours[name], theirs[name], images.get(name))
        for name in sorted(ours.keys() & theirs.keys())
    ]
    if not pairs:
        raise DataError(
            f"No file of '{labels}' has the name of one of '{reference}': name labels and "
            "reference of an image alike, such as a.tif and a.tif."
        )
    alone = {
        path.name: f"There is no file of this name in '{folder}'."
        for own, other, folder in ((ours, theirs, reference), (theirs, ours, labels))
        for name, path in sorted(own.items())
        if name not in other
    }
    return pairs, alone


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _name(path: Path) -> tuple[str, bool]:
    """Return the name of the image, and whether the file's name says that it holds labels."""
    name = stem(path)
    ending = next((one for one in ENDINGS if name.endswith(one) and name != one), "")
    return name.removesuffix(ending), bool(ending)


def _label_files(folder: Path) -> dict[str, Path]:
    found: dict[str, tuple[Path, bool]] = {}
    for path in _files(folder):
        name, surely = _name(path)
        other = found.get(name)
        if other is not None and other[1] == surely:
            raise DataError(
                f"Both '{other[0].name}' and '{path.name}' in '{folder}' could be the labels of "
                f"'{name}': move one of them elsewhere."
            )
        if other is None or surely:
            found[name] = path, surely
    return {name: path for name, (path, _) in found.items()}
