"""Folders of images and corrected labels, to be learned from."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.sources import Pair, find_pairs, has_split
from napari_cellseg.core.errors import DataError, ImageError, OutputError
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.material.source import Source, source_from
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import SUFFIXES, read_image, read_labels
from napari_cellseg.core.zoo.store import find_model

KNOWN = "known"
"""Folder of images of the names of the others, above 0 where the labels are right and complete."""


def sources_of_folder(folder: Path) -> Iterator[Source]:
    """Read the pairs of a folder, one at a time.

    Parameters
    ----------
    folder
        Holds ``images/`` and ``labels/`` with files of equal stems, and optionally ``known/``,
        without which all labels are right; an image without a file there is left out. Where there
        is a ``split.json`` only its part ``train`` is read. See also `find_pairs`.

    Raises
    ------
    DataError
        If there is no pair, or one cannot be read: a stack, or images of different sizes.
    """
    pairs = find_pairs(folder, "train" if has_split(folder) else None)
    areas = _areas(folder / KNOWN)
    if areas is not None:
        pairs = [pair for pair in pairs if pair.name in areas]
        if not pairs:
            raise DataError(
                f"No file in '{folder / KNOWN}' is called like an image: name them alike, or "
                "remove the folder if all labels are right."
            )
    for pair in pairs:
        yield _read(pair, areas[pair.name] if areas is not None else None)


def _areas(folder: Path) -> dict[str, Path] | None:
    if not folder.is_dir():
        return None
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}


def _read(pair: Pair, known: Path | None) -> Source:
    try:
        image, labels = read_image(pair.image), read_labels(pair.labels).data
        area = None if known is None else read_labels(known).data > 0
    except ImageError as error:
        raise DataError(f"Training data cannot be read: {error}") from error
    planes = list(image.planes())
    if len(planes) != 1 or labels.ndim != 2:
        raise DataError(
            f"'{pair.image}' is a stack of {len(planes)} planes. Training takes single planes: "
            "save each as an image of its own."
        )
    if area is None:
        area = np.ones(labels.shape, bool)
    elif not area.any():
        raise DataError(
            f"'{known}' is 0 everywhere: it must be above 0 where the labels are right, or go."
        )
    return source_from(
        image, labels, area, index=planes[0], name=pair.name, classes=dict(pair.classes)
    )


def job_of_folders(
    folders: Sequence[Path], output: Path, parent: str | Path, settings: FineTuneSettings
) -> Generator[Progress, None, Job]:
    """Prepare the fine-tuning of labelled folders, beside the model that is to come.

    Parameters
    ----------
    folders
        As of `sources_of_folder`.
    output
        Folder of the model; the job lies in ``OUTPUT.job``, and the model has its name.
    parent
        Name or folder of the model to start from.

    Raises
    ------
    OutputError
        If the folder of the job exists.
    ChannelError, DataError, ModelError, SettingsError
        As `Job.create` says.
    """
    folder = job_beside(output)
    if folder.exists():
        raise OutputError(
            f"'{folder}' holds a fine-tuning that was begun: go on with it (--resume), or remove "
            "it."
        )
    entry = find_model(parent)
    sources: list[Source] = []
    for place in folders:
        for source in sources_of_folder(place):
            sources.append(source)
            yield Progress("Reading training data", len(sources))
    return Job.create(folder, output.name, entry, settings, sources)


def job_beside(output: Path) -> Path:
    """Return where the fine-tuning lies that makes the model `output`."""
    return output.with_name(output.name + ".job")
