"""Image to labels: prepare, predict, separate objects."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.classify import ObjectClasses, classify
from napari_cellseg.core.device import choose_device
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.inference.predict import AUTOMATIC_SCALES, Region, predict, scale_for
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.postprocess.stack import postprocess_stack
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.provenance import RunRecord, now
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import find_model

SMALL_PIXELS = 2**22
"""An image of up to this many pixels is measured whole, a larger one by a crop of 5 % of it."""

_LARGEST_CROP = 1024
_FEWEST_OBJECTS = 5


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A result and all it takes to change or repeat it.

    Attributes
    ----------
    labels
        The objects.
    prediction
        Probability maps, from which other post-processing settings give other labels.
    recipe
        The recipe, with the hash of the weights that were used.
    record
        How it was made.
    removed
        What each rule took away, by plane index and name of the parameter.
    classes
        Class and certainty of each object, if the model tells classes apart.
    """

    labels: Labels
    prediction: Prediction
    recipe: Recipe
    record: RunRecord
    removed: Mapping[tuple[int, ...], Mapping[str, Removed]]
    classes: ObjectClasses | None = None


def segment(
    image: Image,
    recipe: Recipe,
    *,
    model: Model | None = None,
    device: str = "auto",
    region: Region | None = None,
) -> Generator[Progress, None, Segmentation]:
    """Segment an image; T and Z are independent slices with numbers of their own.

    Parameters
    ----------
    image
        The image.
    recipe
        What to do.
    model
        The loaded model, if it is at hand; by default the one that the recipe names is loaded.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    region
        Rows and columns to segment; the labels have its size. Intensities are scaled as in the
        whole image.

    Raises
    ------
    ModelError
        If there is no such model, or its weights are not those of the recipe.
    ChannelError, DeviceError, OutputError, SettingsError
        As `predict`, `choose_device` and the post-processing say.
    """
    predicted = yield from run_network(image, recipe, model=model, device=device, region=region)
    yield Progress("Separating objects")
    return predicted.separated()


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the network left of an image; `separated` needs the network no more.

    Attributes
    ----------
    image, recipe, prediction
        As of `Segmentation`.
    device_reason
        Why the device was chosen.
    seconds, started
        How long it took, and ISO time of the start.
    """

    image: Image
    recipe: Recipe
    prediction: Prediction
    device_reason: str
    seconds: float
    started: str

    def separated(self) -> Segmentation:
        """Return the objects; may be called in another thread than the network runs in.

        Raises
        ------
        SettingsError
            If the settings need a map that the model does not predict.
        """
        clock, image, prediction = time.perf_counter(), self.image, self.prediction
        objects = postprocess_stack(prediction, self.recipe.post)
        labels = Labels(
            objects.labels, prediction.axes, image.pixel_size, image.z_step, f"{image.name} labels"
        )
        record = RunRecord.of(
            image,
            self.recipe,
            device=prediction.device,
            device_reason=self.device_reason,
            scale=prediction.scale,
            steps=prediction.steps,
            objects=objects.count,
            removed=objects.removed_counts(),
            seconds=self.seconds + time.perf_counter() - clock,
            started=self.started,
        )
        classes = classify(labels.data, prediction.classes) if prediction.classes else None
        return Segmentation(labels, prediction, self.recipe, record, objects.removed, classes)


def run_network(
    image: Image,
    recipe: Recipe,
    *,
    model: Model | None = None,
    device: str = "auto",
    region: Region | None = None,
) -> Generator[Progress, None, Predicted]:
    """Do the part of `segment` that needs the network; parameters and errors are the same."""
    clock, started = time.perf_counter(), now()
    yield Progress("Loading the model")
    model = model or load_bundle(find_model(recipe.model).folder)
    recipe = with_weights_of(model.card, recipe)
    choice = choose_device(device)
    prediction = yield from _predict_at_scale(image, recipe, model, choice.device, region)
    reason = choice.reason if prediction.device == choice.device else "out of memory"
    return Predicted(image, recipe, prediction, reason, time.perf_counter() - clock, started)


def with_weights_of(card: Card, recipe: Recipe) -> Recipe:
    """Return the recipe with the hash of the weights that are installed.

    Raises
    ------
    ModelError
        If it was made with others.
    """
    if recipe.weights_sha256 not in (None, card.weights_sha256):
        raise ModelError(
            f"The recipe was made with other weights of the model '{recipe.model}' than are "
            "installed: install those, or clear the setting weights_sha256 to use these."
        )
    return recipe.replace(weights_sha256=card.weights_sha256 or None)


def _predict_at_scale(
    image: Image, recipe: Recipe, model: Model, device: str, region: Region | None
) -> Generator[Progress, None, Prediction]:
    """Predict; with no diameter given, look first whether the objects fit the model's range."""
    preparation = recipe.preparation

    def run(
        what: Image, part: Region | None, scale: float | None = None
    ) -> Generator[Progress, None, Prediction]:
        return predict(model, what, preparation, recipe.tiling, device, scale=scale, region=part)

    if preparation.diameter or preparation.rescale == "off":
        return (yield from run(image, region))
    small = not image.leading and image.size("Y") * image.size("X") <= SMALL_PIXELS
    sample = (image, region) if small else (_middle_plane(image), region or _central_crop(image))
    first = yield from run(*sample)
    diameter = median_diameter(first, model.card)
    low, high = model.card.diameter_range
    if diameter is None or low <= diameter <= high:
        return first if small else (yield from run(image, region))
    scale = scale_for(diameter, model.card, AUTOMATIC_SCALES)
    told = (
        f"Objects measure {diameter:.0f} px, the model is made for {low:.0f} to {high:.0f} px: "
        f"the image is shown to it at {scale:.2f} times its size."
    )
    yield Progress("Predicting", message=told)
    prediction = yield from run(image, region, scale)
    return replace(prediction, steps=(*first.steps, told, *prediction.steps))


def median_diameter(prediction: Prediction, card: Card) -> float | None:
    """Return the diameter in px of a disc as large as the median object; None for fewer than 5.

    The card's post-processing is used, not the recipe's: thresholds that are moved afterwards
    must not change the scale at which the network ran.
    """
    objects = postprocess_stack(prediction, PostParams.parse(card.post))
    if objects.count < _FEWEST_OBJECTS:
        return None
    areas = np.bincount(objects.labels.ravel())[1:]
    return 2 * math.sqrt(float(np.median(areas[areas > 0])) / math.pi)


def _middle_plane(image: Image) -> Image:
    middle = tuple(n // 2 for n in image.leading)
    return Image(image.plane(middle), "YXC", rgb=image.rgb, name=image.name)


def _central_crop(image: Image) -> Region:
    pixels = math.prod(image.leading) * image.size("Y") * image.size("X")
    side = min(_LARGEST_CROP, max(256, math.isqrt(pixels // 20)))
    starts = [max(0, (n - side) // 2) for n in (image.size("Y"), image.size("X"))]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
