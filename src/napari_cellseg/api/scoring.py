"""Score models and labels against true labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cellseg.api._calls import ProgressCallback, drain, folders_of, image_of
from napari_cellseg.api.segmenting import choose_recipe
from napari_cellseg.core.recipe import Recipe

if TYPE_CHECKING:
    from napari_cellseg.core.agreement.agreement import Agreement
    from napari_cellseg.core.comparison.result import Comparison
    from napari_cellseg.core.evaluation import Evaluation


def evaluate(
    data: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    *,
    labels: str | Path | None = None,
    part: str | None = "val",
    device: str = "auto",
    smallest: int = 0,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Score a model, or labels made elsewhere, against true labels.

    Parameters
    ----------
    data
        As of `train`.
    model, recipe, device, progress
        As of `segment`.
    labels
        Folder of label images to score instead of running a model.
    part
        Part of ``split.json`` to take in folders that have one; None takes every image.
    smallest
        Objects of fewer pixels count on neither side.

    Returns
    -------
    Evaluation
        Scores of each image, of each group and overall; ``confusion()`` has those of the object
        classes.

    Raises
    ------
    DataError
        If there is nothing to score, or an image and its labels differ in size.
    ImageError
        If a file cannot be read.

    Examples
    --------
    >>> api.evaluate("my_data", "my_model").overall()["ap50"]  # doctest: +SKIP
    """
    from napari_cellseg.core.workflows import evaluate as workflows

    if labels is not None:
        made = workflows.evaluate_labels(
            Path(labels), folders_of(data), part=part, smallest=smallest
        )
        return drain(made, progress)
    run = workflows.evaluate(
        choose_recipe(recipe, model), folders_of(data), part=part, device=device, smallest=smallest
    )
    return drain(run, progress)


def compare(
    data: str | Path | Sequence[str | Path],
    models: Sequence[str | Path],
    *,
    part: str | None = "val",
    device: str = "auto",
    smallest: int = 0,
    progress: ProgressCallback | None = None,
) -> Comparison:
    """Score, time and measure several models on the same labelled images.

    Parameters
    ----------
    data, part, smallest
        As of `evaluate`.
    models
        Names or folders of models; each runs with its card's settings.
    device, progress
        As of `segment`.

    Returns
    -------
    Comparison
        One row a model (``table()``, ``to_csv()``, ``to_svg()``, ``save(folder)``); images that
        could not be used are named in ``skipped`` and in each model's ``unreadable``.

    Raises
    ------
    DataError
        If there is nothing to compare on.
    ModelError
        If there is no such model.

    Examples
    --------
    >>> print(api.compare("my_data", ["nuclei", "my_model"]).table())  # doctest: +SKIP
    """
    from napari_cellseg.core.workflows.compare import compare as workflow

    run = workflow(models, folders_of(data), part=part, device=device, smallest=smallest)
    return drain(run, progress)


def compare_labels(
    labels: Any,
    reference: Any,
    image: Any = None,
    *,
    report: str | Path | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    **settings: float,
) -> Agreement:
    """Compare a label image with a reference: scores, their intervals, and what is wrong where.

    Parameters
    ----------
    labels, reference
        Each an integer array (T?, Z?, Y, X), a `Labels`, or the path of a label image.
    image
        As of `segment`; only for the pictures of the report.
    report
        Where to write a page (.html) to send to others; None writes nothing.
    seed
        Of the bootstrap.
    progress
        As of `segment`.
    **settings
        Changes to `ErrorSettings`: ``iou`` from which on objects are the same cell, ``outline``
        below which an outline is poor.

    Returns
    -------
    Agreement
        ``scores``, ``intervals``, ``errors`` (worst first) and ``error_map``.

    Raises
    ------
    DataError
        If the shapes differ.
    ImageError
        If a file cannot be read, or the image does not fit.

    Examples
    --------
    >>> found = api.compare_labels("mine.tif", "truth.tif", report="report.html")  # doctest: +SKIP
    >>> found.scores["ap50"], found.errors[0].kind  # doctest: +SKIP
    """
    from napari_cellseg.core.agreement.object_errors import ErrorSettings
    from napari_cellseg.core.agreement.pairs import array_pair
    from napari_cellseg.core.workflows.agreement import compare_labels as workflow

    shown = None if image is None else image_of(image, None)
    run = workflow(
        array_pair(labels, reference, shown),
        None if report is None else Path(report),
        settings=ErrorSettings.parse(settings),
        seed=seed,
    )
    return drain(run, progress)
