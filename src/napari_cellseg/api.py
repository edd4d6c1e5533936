"""Segment, train, evaluate and compare from Python, without a viewer.

Examples
--------
>>> from napari_cellseg import api
>>> result = api.segment("field.tif", diameter=25)  # doctest: +SKIP
>>> result.labels.data.max()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import CellsegError, SettingsError
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import image_from_array, read_image, read_labels
from napari_cellseg.core.recipe import Recipe

if TYPE_CHECKING:
    from napari_cellseg.core.comparison.result import Comparison
    from napari_cellseg.core.evaluation import Evaluation
    from napari_cellseg.core.workflows.segment import Segmentation
    from napari_cellseg.core.workflows.train import TrainResult

__all__ = [
    "CellsegError",
    "Image",
    "Labels",
    "Progress",
    "Recipe",
    "choose_recipe",
    "compare",
    "evaluate",
    "read_image",
    "read_labels",
    "segment",
    "train",
    "write_labels",
]

R = TypeVar("R")

ProgressCallback = Callable[[Progress], None]


def segment(
    image: Any,
    model: str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    *,
    axes: str | None = None,
    channels: Sequence[int] | int | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> Segmentation:
    """Find the cells in one image.

    The same recipe gives the same labels here, in the dock and on the command line.

    Parameters
    ----------
    image
        Array-like, path of an image file, or `Image`.
    model
        Name of a model, or the folder of one; default ``"nuclei"``, or the recipe's model.
    recipe
        Recipe of an earlier run, or its file; default: the model's own settings.
    axes
        One letter a dimension: T, Z, C, Y, X, or S for red, green, blue samples. Needed for
        arrays, and files that do not say, with more than two dimensions; an 8-bit array whose last
        dimension is 3 or 4 is taken for a colour image.
    channels
        Which channels to use, from 0; default all.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    progress
        Called with each `Progress` step. What it raises cancels the run.
    **settings
        Changes to the recipe by name: of preparation (``diameter=25``), tiling (``tile=256``) or
        post-processing (``min_area=30``, ``foreground_threshold=0.4``).

    Returns
    -------
    Segmentation
        ``labels`` (a `Labels` with ``data`` of shape (T?, Z?, Y, X), int32), ``prediction`` (the
        probability maps), ``recipe`` (to repeat it), ``record`` (versions, timing, device),
        ``removed`` (what each clean-up rule took away) and ``classes`` (class and margin of each
        object, None if the model tells none apart).

    Raises
    ------
    ImageError
        If the image cannot be read or its axes are in doubt.
    ChannelError
        If the model was not trained on such channels.
    SettingsError
        If a setting does not exist or cannot have its value.
    ModelError, DeviceError
        If the model or the device cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_cellseg import api
    >>> stack = np.zeros((3, 512, 512), np.uint16)  # three channels
    >>> api.segment(stack, axes="CYX", channels=0, min_area=30)  # doctest: +SKIP
    """
    from napari_cellseg.core.workflows.segment import segment as workflow

    recipe = choose_recipe(recipe, model)
    if channels is not None:
        chosen = (channels,) if isinstance(channels, int) else tuple(channels)
        recipe = recipe.with_setting("preparation.channels", chosen)
    for name, value in settings.items():
        recipe = recipe.with_setting(_full_name(name), value)
    return _run(workflow(_image(image, axes), recipe, device=device), progress)


def train(
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    unlabelled: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a model on labelled images.

    Parameters
    ----------
    data
        Folder, or folders, of ``images/`` and ``labels/`` with equal names; an optional
        ``split.json`` lists ``train`` and ``val``, an optional ``classes.csv`` gives the classes of
        objects.
    output
        Folder of the new model.
    unlabelled
        Images without labels, or folders of them, for a ``teacher``.
    resume
        Go on with an interrupted run.
    device, progress
        As of `segment`.
    **settings
        Fields of `napari_cellseg.core.training.config.TrainConfig`, such as ``minutes=30``, or
        ``recipe="haru-net"`` for the settings of a paper, which the others change.

    Returns
    -------
    TrainResult
        Folder of the model, history of the run, scores of the weights that were kept.

    Raises
    ------
    DataError
        If the data cannot be used.
    SettingsError
        If a setting does not exist or cannot have its value.
    TrainingError
        If the loss is not finite or there is nothing to resume.

    Examples
    --------
    >>> api.train("my_data", "my_model", minutes=30)  # doctest: +SKIP
    """
    from napari_cellseg.core.training.recipes import configure
    from napari_cellseg.core.workflows.train import train as workflow

    run = workflow(
        configure(settings),
        _folders(data),
        Path(output),
        unlabelled=_folders(unlabelled),
        resume=resume,
        device=device,
    )
    return _run(run, progress)


def evaluate(
    data: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    *,
    labels: str | Path | None = None,
    part: str | None = "val",
    device: str = "auto",
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
        return _run(workflows.evaluate_labels(Path(labels), _folders(data), part=part), progress)
    run = workflows.evaluate(choose_recipe(recipe, model), _folders(data), part=part, device=device)
    return _run(run, progress)


def compare(
    data: str | Path | Sequence[str | Path],
    models: Sequence[str | Path],
    *,
    part: str | None = "val",
    device: str = "auto",
    progress: ProgressCallback | None = None,
) -> Comparison:
    """Score, time and measure several models on the same labelled images.

    Parameters
    ----------
    data, part
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

    return _run(workflow(models, _folders(data), part=part, device=device), progress)


def choose_recipe(
    recipe: Recipe | str | Path | None = None, model: str | Path | None = None
) -> Recipe:
    """Return the recipe that a call starts from.

    Parameters
    ----------
    recipe
        Recipe or its file; None stands for the model's own settings.
    model
        Name or folder; None stands for the recipe's model, or the default model.

    Raises
    ------
    SettingsError
        If the file is no recipe.
    ModelError
        If there is no such model.
    """
    from napari_cellseg.core.zoo.store import find_model

    if recipe is None:
        entry = find_model(model or Recipe.model_fields["model"].default)
        return Recipe.for_model(entry.card, entry.name)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    if model is None:
        return recipe
    return recipe.replace(model=str(model), weights_sha256=None)


def _image(image: Any, axes: str | None) -> Image:
    if isinstance(image, Image):
        if axes not in (None, image.axes):
            raise SettingsError(
                f"The image has the axes {image.axes} already: leave axes out, or give an array."
            )
        return image
    if isinstance(image, str | Path):
        return read_image(image, axes=axes)
    return image_from_array(image, axes)


def _full_name(setting: str) -> str:
    """Find the part of the recipe that has this setting."""
    for part in ("post", "preparation", "tiling"):
        if setting in type(Recipe.model_fields[part].default).model_fields:
            return f"{part}.{setting}"
    return f"post.{setting}"  # whose error names the nearest one


def _folders(data: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(data)] if isinstance(data, str | Path) else [Path(one) for one in data]


def _run(workflow: Generator[Progress, None, R], progress: ProgressCallback | None) -> R:
    with closing(workflow):
        while True:
            try:
                step = next(workflow)
            except StopIteration as stop:
                result: R = stop.value
                return result
            if progress is not None:
                progress(step)
