"""Image to labels: prepare, predict, separate objects."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.device import DeviceChoice, choose_device
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.inference.predict import AUTOMATIC_SCALES, Region, predict, scale_for
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.provenance import now
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.separate import Predicted as Predicted
from napari_cellseg.core.workflows.separate import Rescale, Seen
from napari_cellseg.core.workflows.separate import Segmentation as Segmentation
from napari_cellseg.core.workflows.separate import median_diameter as median_diameter
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import find_model

SMALL_PIXELS = 2**22
"""An image of up to this many pixels is measured whole, a larger one by a crop of 5 % of it."""

_LARGEST_CROP = 1024


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


def run_network(
    image: Image,
    recipe: Recipe,
    *,
    model: Model | None = None,
    device: str = "auto",
    region: Region | None = None,
) -> Generator[Progress, None, Predicted]:
    """Do the part of `segment` that needs the network; parameters and errors are the same."""
    first = yield from first_pass(image, recipe, model=model, device=device, region=region)
    found = first.seen.settled()
    return found if isinstance(found, Predicted) else (yield from first.again(found))


def first_pass(
    image: Image,
    recipe: Recipe,
    *,
    model: Model | None = None,
    device: str = "auto",
    region: Region | None = None,
) -> Generator[Progress, None, FirstPass]:
    """Do what `run_network` begins with: predict an image, or of a large one a sample.

    Nothing is left to do for the network if the objects fit the range of the model, or if the
    recipe tells how large they are.
    """
    clock, started = time.perf_counter(), now()
    yield Progress("Loading the model")
    model = model or load_bundle(find_model(recipe.model).folder)
    recipe = with_weights_of(model.card, recipe)
    choice, preparation = choose_device(device), recipe.preparation
    told = bool(preparation.diameter) or preparation.rescale == "off"
    small = not image.leading and image.size("Y") * image.size("X") <= SMALL_PIXELS
    whole = told or small
    what, part = (image, region) if whole else (_middle_plane(image), region)
    if not whole and part is None:
        part = _central_crop(image)
    prediction = yield from predict(
        model, what, preparation, recipe.tiling, choice.device, region=part
    )
    reason, seconds = _reason(prediction, choice), time.perf_counter() - clock
    seen = Seen(image, recipe, prediction, model.card, reason, whole, told, seconds, started)
    return FirstPass(seen, model, choice, region)


@dataclass(frozen=True, eq=False)
class FirstPass:
    """What the network left when it first saw an image, and the network, which may look again.

    Attributes
    ----------
    seen
        What it left.
    model, choice, region
        How the image is segmented.
    """

    seen: Seen
    model: Model
    choice: DeviceChoice
    region: Region | None

    def again(self, wanted: Rescale) -> Generator[Progress, None, Predicted]:
        """Predict the whole image at the scale that its objects need."""
        clock, seen = time.perf_counter(), self.seen
        scale, told = self._scale(wanted.diameter)
        if told:
            yield Progress("Predicting", message=told)
        prediction = yield from predict(
            self.model,
            seen.image,
            seen.recipe.preparation,
            seen.recipe.tiling,
            self.choice.device,
            scale=scale,
            region=self.region,
        )
        if told:
            steps = (*seen.prediction.steps, told, *prediction.steps)
            prediction = replace(prediction, steps=steps)
        reason = _reason(prediction, self.choice)
        seconds = seen.seconds + time.perf_counter() - clock
        return Predicted(seen.image, seen.recipe, prediction, reason, seconds, seen.started)

    def _scale(self, diameter: float | None) -> tuple[float, str]:
        """Return the scale for objects of such a diameter, and why, one sentence or ""."""
        if diameter is None:
            return 1.0, ""
        card = self.model.card
        (low, high), scale = card.diameter_range, scale_for(diameter, card, AUTOMATIC_SCALES)
        return scale, (
            f"Objects measure {diameter:.0f} px, the model is made for {low:.0f} to {high:.0f} px: "
            f"the image is shown to it at {scale:.2f} times its size."
        )


def _reason(prediction: Prediction, choice: DeviceChoice) -> str:
    return choice.reason if prediction.device == choice.device else "out of memory"


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
    installed = card.weights_sha256 or None
    # Every image of a batch comes here, with a recipe that knows it.
    return (
        recipe if recipe.weights_sha256 == installed else recipe.replace(weights_sha256=installed)
    )


def _middle_plane(image: Image) -> Image:
    middle = tuple(n // 2 for n in image.leading)
    return Image(image.plane(middle), "YXC", rgb=image.rgb, name=image.name)


def _central_crop(image: Image) -> Region:
    pixels = math.prod(image.leading) * image.size("Y") * image.size("X")
    side = min(_LARGEST_CROP, max(256, math.isqrt(pixels // 20)))
    starts = [max(0, (n - side) // 2) for n in (image.size("Y"), image.size("X"))]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
