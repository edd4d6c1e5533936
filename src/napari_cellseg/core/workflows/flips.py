"""The network once more, on the mirrored image: what changes by that is not sure."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.device import choose_device
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.inference.predict import Region, predict
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.review.risk import Maps
from napari_cellseg.core.workflows.segment import with_weights_of
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.store import find_model

STAGE = "Comparing with flips"


class _Mirrored(Image):
    """An image whose planes are mirrored as they are loaded, left to right."""

    def plane(self, *arguments: Any, **options: Any) -> npt.NDArray[Any]:
        return super().plane(*arguments, **options)[:, ::-1]


def flipped_maps(
    image: Image,
    recipe: Recipe,
    like: Prediction,
    *,
    model: Model | None = None,
    region: Region | None = None,
) -> Generator[Progress, None, Maps]:
    """Predict the maps of the mirrored image, and mirror them back.

    It takes about as long as the run did, on the same device and at the same scale.

    Parameters
    ----------
    image
        The image that was segmented.
    recipe
        What it was segmented with.
    like
        What the network left then.
    model
        The loaded model, if it is at hand; by default the one that the recipe names is loaded.
    region
        Rows and columns that were segmented; None for all.

    Returns
    -------
    Foreground and contour, uint8 of the shape of ``like``; None for a map that the model does
    not predict. They are what `rate_objects` takes as ``flipped``.

    Raises
    ------
    DataError
        If the model leaves no maps, or the image is not the one that was segmented.
    ModelError
        If the model is no longer installed, or has other weights by now.
    ChannelError, DeviceError, OutputError
        As `predict` says.
    """
    if "foreground" not in like.maps:
        raise DataError(
            "This model finds objects one by one and leaves no probability maps, so that there is "
            "nothing to compare: review without flips."
        )
    rows, columns = region or (slice(0, image.size("Y")), slice(0, image.size("X")))
    shape = (*image.leading, rows.stop - rows.start, columns.stop - columns.start)
    if shape != like.shape:
        raise DataError(
            f"The image has another size ({shape}) than when it was segmented ({like.shape}): run "
            "the model on it again."
        )
    yield Progress("Loading the model")
    model = model or load_bundle(find_model(recipe.model).folder)
    with_weights_of(model.card, recipe)
    width = image.size("X")
    mirrored = _Mirrored(**{one.name: getattr(image, one.name) for one in fields(Image)})
    where = (rows, slice(width - columns.stop, width - columns.start))
    device = choose_device(like.device).device
    steps = predict(
        model, mirrored, recipe.preparation, recipe.tiling, device, scale=like.scale, region=where
    )
    found = yield from _told(steps)
    foreground, contour = found.maps.get("foreground"), found.maps.get("contour")
    return _turned(foreground), _turned(contour)


def _told(
    steps: Generator[Progress, None, Prediction],
) -> Generator[Progress, None, Prediction]:
    try:
        while True:
            yield replace(next(steps), stage=STAGE)
    except StopIteration as stop:
        found: Prediction = stop.value
        return found
    finally:
        steps.close()


def _turned(stack: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8] | None:
    return None if stack is None else stack[..., ::-1]
