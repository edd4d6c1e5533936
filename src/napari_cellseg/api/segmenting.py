"""Segment one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cellseg.api._calls import ProgressCallback, drain, image_of
from napari_cellseg.core.recipe import Recipe

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.segment import Segmentation


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
    return drain(workflow(image_of(image, axes), recipe, device=device), progress)


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


def _full_name(setting: str) -> str:
    """Find the part of the recipe that has this setting."""
    for part in ("post", "preparation", "tiling"):
        if setting in type(Recipe.model_fields[part].default).model_fields:
            return f"{part}.{setting}"
    return f"post.{setting}"  # whose error names the nearest one
