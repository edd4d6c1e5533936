"""Which label files are to be measured, in which images, and what they are counted to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from napari_cellseg.core.agreement.pairs import ENDINGS
from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.batch.names import result_names
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.export.measurements import read_table
from napari_cellseg.core.measure.decisions import Decisions
from napari_cellseg.core.reading import SUFFIXES, stem


@dataclass(frozen=True)
class MeasureCase:
    """Labels to measure.

    Attributes
    ----------
    name, group
        Of the image, in the table.
    labels, image
        The files; without an image only shapes and neighbours are measured.
    """

    name: str
    group: str
    labels: Path
    image: Path | None = None


def find_measure_cases(
    labels: Sequence[Path], images: Sequence[Path] = (), groups: Mapping[str, str] | None = None
) -> list[MeasureCase]:
    """Put together labels and images by name.

    Parameters
    ----------
    labels
        Label files, and folders of them. In a folder that also holds the images, those called
        ``NAME_labels.tif`` or the like are taken.
    images
        Image files and folders; one belongs to the labels of the same name, where ``_labels``,
        ``_masks`` and the like behind it do not count, or to those that `batch` called after it
        where file names were the same. Of several the one in the nearest folder is taken. A single
        image belongs to a single label file whatever their names.
    groups
        Group by the name of the image; default: the folder of the labels, or the one above if
        that is called ``labels``.

    Raises
    ------
    DataError
        If a path does not exist, a folder holds no labels, labels have no image or several that
        may be meant, or two images would have the same name and group.
    """
    files = list(dict.fromkeys(file for path in labels for file in _label_files(path)))
    pictures = list(dict.fromkeys(file for path in images for file in _files(path)))
    single = len(files) == len(pictures) == 1
    found = {_name(files[0]): pictures} if single else _by_name(pictures)
    cases: dict[tuple[str, str], MeasureCase] = {}
    for file in files:
        name = _name(file)
        some = found.get(name, [])
        if images and not some:
            raise DataError(
                f"There is no image for '{file}': give one called '{name}', or no images at all."
            )
        group = (groups or {}).get(name, _group(file))
        image = _nearest(file, some) if some else None
        other = cases.setdefault((name, group), MeasureCase(name, group, file, image))
        if other.labels != file:
            raise DataError(
                f"Both '{other.labels}' and '{file}' would be called '{name}' of the group "
                f"'{group}' in the table: measure them one at a time, or rename one."
            )
    return list(cases.values())


def _by_name(pictures: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the images by their names, and by those of their results in a batch."""
    found: dict[str, list[Path]] = {}
    plain = [path for path in pictures if stem(path) == _name(path)]
    for path in plain:
        found.setdefault(stem(path), []).append(path)
    for path, name in result_names(plain).items():
        found.setdefault(name, [path])
    return found


def _nearest(labels: Path, images: Sequence[Path]) -> Path:
    """Return the image whose folder has most of its path in common with that of the labels."""
    place = labels.absolute().parent.parts

    def shared(image: Path) -> int:
        pairs = zip(place, image.absolute().parent.parts, strict=False)
        return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))

    most = max(map(shared, images))
    near = [image for image in images if shared(image) == most]
    if len(near) > 1:
        raise DataError(
            f"'{near[0]}' and '{near[1]}' could both be the image of '{labels}': give one of "
            "them, or measure one folder at a time."
        )
    return near[0]


def decisions_beside(path: Path, labels: Labels, name: str | None = None) -> Decisions:
    """Return what model and person said about the objects of a label file.

    ``NAME_objects.csv`` beside it, as `segment` writes it, gives class and margin; label files that
    were corrected here tell classes, too, and what is locked, edited and accepted.

    Parameters
    ----------
    path, labels
        The file, and what is in it.
    name
        Of the image; by default that of the file without ``_labels`` and the like.

    Raises
    ------
    DataError
        If the table cannot be read.
    """
    decisions = Decisions.of_provenance(labels.provenance)
    objects = path.with_name(f"{name or _name(path)}_objects.csv")
    if not objects.is_file():
        return decisions
    told = read_table(objects)
    ids = told["label"].tolist()
    if "class" in told:
        by_model = dict(zip(ids, map(str, told["class"].tolist()), strict=True))
        decisions = replace(decisions, classes={**by_model, **(decisions.classes or {})})
    if "margin" in told:
        margin = dict(zip(ids, told["margin"].tolist(), strict=True))
        decisions = replace(decisions, margin=margin)
    return decisions


def read_groups(path: Path) -> dict[str, str]:
    """Read a JSON file of names of images with their groups.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"'{path}' cannot be read ({error}): write the groups as JSON, such as "
            '{"image_1": "control"}.'
        ) from error
    if not isinstance(found, dict):
        raise DataError(f'\'{path}\' holds no groups: write {{"image_1": "control"}} or the like.')
    return {str(name): str(group) for name, group in found.items()}


def _label_files(path: Path) -> list[Path]:
    files = _files(path)
    if not path.is_dir():
        return files
    marked = [file for file in files if stem(file) != _name(file)]
    return marked or files


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"There is no file or folder '{path}': check the path.")
    if not path.is_dir():
        return [path]
    inside = [one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file()]
    files = sorted(one for one in inside if not one.name.startswith("."))
    if not files:
        raise DataError(f"The folder '{path}' holds no label image: choose another one.")
    return files


def _name(path: Path) -> str:
    """Return the name of the image that labels belong to."""
    name = stem(path)
    ending = next((one for one in ENDINGS if name.endswith(one) and name != one), "")
    return name.removesuffix(ending)


def _group(path: Path) -> str:
    folder = path.resolve().parent
    return (folder.parent if folder.name == "labels" else folder).name
