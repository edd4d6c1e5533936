"""Score a model, or labels made elsewhere, on folders of images with true labels."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.confusion import Confusion, confusion
from napari_cellseg.core.data.classes import check_labels, read_object_classes
from napari_cellseg.core.data.sources import Pair, find_pairs, has_split
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.evaluation import Evaluation, ImageResult
from napari_cellseg.core.metrics import Scores, score
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import SUFFIXES, read_image, read_labels, stem
from napari_cellseg.core.recipe import Recipe

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.segment import Segmentation
    from napari_cellseg.core.zoo.bundle import Model

Labels = npt.NDArray[np.int32]


def evaluate(
    recipe: Recipe | str,
    folders: Sequence[Path],
    *,
    part: str | None = "val",
    model: Model | None = None,
    device: str = "auto",
    smallest: int = 0,
) -> Generator[Progress, None, Evaluation]:
    """Segment every image of labelled folders as `segment` does, and score the labels.

    Parameters
    ----------
    recipe
        What to run; the name or folder of a model stands for that model's default recipe.
    folders
        Each holds ``images/`` and ``labels/``, optionally ``split.json`` and ``groups.json``.
    part
        Part of ``split.json`` to take, in the folders that have one; None takes every image.
    model
        The recipe's model, if it is loaded already.
    device
        Where to compute.
    smallest
        Objects of fewer pixels count on neither side: specks of a drawing tool, say.

    Yields
    ------
    Progress
        Done and total count images; the running mean is in ``metrics["ap50"]``.

    Raises
    ------
    DataError
        If there is nothing to evaluate on, or an image and its labels differ in size.
    ImageError
        If a file cannot be read; a score never leaves images out silently.
    ModelError, ChannelError, DeviceError
        As raised by `segment`.
    """
    from napari_cellseg.core.workflows.segment import segment
    from napari_cellseg.core.zoo.bundle import load_bundle
    from napari_cellseg.core.zoo.store import find_model

    pairs = all_pairs(folders, part)
    if isinstance(recipe, str):
        entry = find_model(recipe)
        recipe = Recipe.for_model(entry.card, entry.name)
    yield Progress("Evaluating", 0, len(pairs))
    model = model or load_bundle(find_model(recipe.model).folder)
    results: list[ImageResult] = []
    for folder, pair in pairs:
        image, truth = read_image(pair.image), read_labels(pair.labels).data
        start = time.perf_counter()
        with closing(segment(image, recipe, model=model, device=device)) as run:
            found = yield from _as_evaluating(run, results, len(pairs))
        seconds = time.perf_counter() - start
        labels = found.labels.data
        scores = score_pair(pair, truth, labels, smallest)
        given = found.classes
        classes = (
            _confusion(pair, truth, labels, given.by_id(), given.types, smallest) if given else None
        )
        results.append(ImageResult(pair.name, pair.group, folder.name, scores, seconds, classes))
        yield _progress(results, len(pairs))
    return Evaluation(tuple(results), recipe, smallest)


def evaluate_labels(
    predicted: Path | Sequence[Path],
    folders: Sequence[Path],
    *,
    part: str | None = "val",
    smallest: int = 0,
) -> Generator[Progress, None, Evaluation]:
    """Score label files made elsewhere against the true labels of folders.

    Parameters
    ----------
    predicted
        Label files, or a folder of them: ``STEM.tif`` or ``STEM_labels.tif`` for image ``STEM``.
        A file ``STEM_objects.csv`` beside it, as `segment` writes it on the command line, gives the
        classes of the objects.
    folders, part, smallest
        As in `evaluate`.

    Raises
    ------
    DataError
        If an image has no label file, or one of another size.
    ImageError
        If a file cannot be read.
    """
    pairs = all_pairs(folders, part)
    files = _label_files(predicted)
    missing = [pair.name for _, pair in pairs if stem(pair.image) not in files]
    if missing:
        raise DataError(
            f"There is no label file for {len(missing)} of {len(pairs)} images, such as "
            f"'{missing[0]}'. Name the files like the images, or choose another part."
        )
    results: list[ImageResult] = []
    for folder, pair in pairs:
        yield _progress(results, len(pairs))
        truth = read_labels(pair.labels).data
        path = files[stem(pair.image)]
        labels = read_labels(path).data
        scores = score_pair(pair, truth, labels, smallest)
        given = read_object_classes(path.with_name(f"{stem(pair.image)}_objects.csv"), labels)
        types = sorted(set(given.values()))
        classes = _confusion(pair, truth, labels, given, types, smallest) if given else None
        results.append(ImageResult(pair.name, pair.group, folder.name, scores, 0.0, classes))
    return Evaluation(tuple(results), smallest=smallest)


def _as_evaluating(
    run: Generator[Progress, None, Segmentation], results: list[ImageResult], total: int
) -> Generator[Progress, None, Segmentation]:
    """Pass every step of a segmentation on, so that one can cancel within it."""
    while True:
        try:
            step = next(run)
        except StopIteration as stop:
            segmentation: Segmentation = stop.value
            return segmentation
        yield _progress(results, total, step.message)


def _progress(results: list[ImageResult], total: int, message: str = "") -> Progress:
    scores = [one.scores.ap[0] for one in results]
    metrics = {"ap50": float(np.mean(scores))} if scores else {}
    return Progress("Evaluating", len(results), total, message, metrics)


def all_pairs(folders: Sequence[Path], part: str | None) -> list[tuple[Path, Pair]]:
    """List the pairs of all folders, each with its folder; see `evaluate` for `part`.

    Raises
    ------
    DataError
        If there is no folder, or one of them holds no such pairs.
    """
    if not folders:
        raise DataError("No data folder was given. Name a folder that holds images/ and labels/.")
    return [
        (folder, pair)
        for folder in map(Path, folders)
        for pair in find_pairs(folder, part if has_split(folder) else None)
    ]


def _label_files(predicted: Path | Sequence[Path]) -> dict[str, Path]:
    if isinstance(predicted, Path):
        if not predicted.is_dir():
            raise DataError(f"There is no folder '{predicted}'. Choose the folder of the labels.")
        predicted = sorted(p for p in predicted.iterdir() if p.suffix.lower() in SUFFIXES)
    return {stem(path).removesuffix("_labels"): path for path in predicted}


def _confusion(
    pair: Pair,
    truth: Labels,
    labels: Labels,
    given: Mapping[int, str],
    types: Sequence[str],
    smallest: int,
) -> Confusion | None:
    """Compare classes, if the data have any for this image."""
    if not pair.classes:
        return None
    check_labels(pair.classes, truth, pair.name)
    truth, labels = (without_small(one, smallest) for one in (truth, labels))
    return confusion(truth, labels, pair.classes, given, types)


def without_small(labels: Labels, smallest: int) -> Labels:
    """Return labels without the objects of fewer than `smallest` pixels."""
    if smallest <= 1:
        return labels
    ids, number, areas = np.unique(labels, return_inverse=True, return_counts=True)
    kept = np.where(areas < smallest, 0, ids)
    return kept[number].reshape(labels.shape).astype(labels.dtype)


def score_pair(pair: Pair, truth: Labels, labels: Labels, smallest: int = 0) -> Scores:
    """Score the labels of one image, leaving out small objects; an error names it.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    try:
        return score(without_small(truth, smallest), without_small(labels, smallest))
    except DataError as error:
        raise DataError(f"'{pair.name}' cannot be scored: {error}") from error
