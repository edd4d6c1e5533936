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
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.provenance import now
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.separate import Predicted as Predicted
from napari_cellseg.core.workflows.separate import Segmentation as Segmentation
from napari_cellseg.core.workflows.separate import diameter_of
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
    found = first.settled()
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
    seconds = time.perf_counter() - clock
    return FirstPass(
        image, recipe, model, choice, region, prediction, whole, told, seconds, started
    )


@dataclass(frozen=True)
class Rescale:
    """The image has to be predicted (again): at which scale, and why, one sentence or ""."""

    scale: float
    told: str = ""


@dataclass(frozen=True, eq=False)
class FirstPass:
    """What the network left when it first saw an image, or a sample of it.

    Attributes
    ----------
    image, recipe, model, choice, region
        What is segmented, and how.
    prediction
        What the network left.
    whole
        Whether that is all of it, not a sample.
    told
        Whether the scale was known beforehand.
    seconds, started
        How long it took, and ISO time of the start.
    """

    image: Image
    recipe: Recipe
    model: Model
    choice: DeviceChoice
    region: Region | None
    prediction: Prediction
    whole: bool
    told: bool
    seconds: float
    started: str

    def settled(self) -> Predicted | Rescale:
        """Look whether the objects fit the model's range; may be called in another thread.

        Returns
        -------
        The prediction if it can stay as it is, else what is to be done.
        """
        if self.told:
            return self._predicted(self.prediction, self.seconds)
        clock, card = time.perf_counter(), self.model.card
        processor: PostProcessor | None = None
        if self.whole:  # of which the final objects may be made with the same processor
            processor = PostProcessor(self.prediction.plane(()))
            diameter = diameter_of(processor.run(PostParams.parse(card.post)).labels)
        else:
            diameter = median_diameter(self.prediction, card)
        low, high = card.diameter_range
        if diameter is None or low <= diameter <= high:
            seconds = self.seconds + time.perf_counter() - clock
            whole = self._predicted(self.prediction, seconds, processor)
            return whole if self.whole else Rescale(1.0)
        scale = scale_for(diameter, card, AUTOMATIC_SCALES)
        told = (
            f"Objects measure {diameter:.0f} px, the model is made for {low:.0f} to {high:.0f} px: "
            f"the image is shown to it at {scale:.2f} times its size."
        )
        return Rescale(scale, told)

    def again(self, wanted: Rescale) -> Generator[Progress, None, Predicted]:
        """Predict the whole image at the scale that its objects need."""
        clock, recipe = time.perf_counter(), self.recipe
        if wanted.told:
            yield Progress("Predicting", message=wanted.told)
        prediction = yield from predict(
            self.model,
            self.image,
            recipe.preparation,
            recipe.tiling,
            self.choice.device,
            scale=wanted.scale,
            region=self.region,
        )
        if wanted.told:
            steps = (*self.prediction.steps, wanted.told, *prediction.steps)
            prediction = replace(prediction, steps=steps)
        return self._predicted(prediction, self.seconds + time.perf_counter() - clock)

    def _predicted(
        self, prediction: Prediction, seconds: float, processor: PostProcessor | None = None
    ) -> Predicted:
        fell_back = prediction.device != self.choice.device
        reason = "out of memory" if fell_back else self.choice.reason
        return Predicted(
            self.image, self.recipe, prediction, reason, seconds, self.started, processor
        )


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


def _middle_plane(image: Image) -> Image:
    middle = tuple(n // 2 for n in image.leading)
    return Image(image.plane(middle), "YXC", rgb=image.rgb, name=image.name)


def _central_crop(image: Image) -> Region:
    pixels = math.prod(image.leading) * image.size("Y") * image.size("X")
    side = min(_LARGEST_CROP, max(256, math.isqrt(pixels // 20)))
    starts = [max(0, (n - side) // 2) for n in (image.size("Y"), image.size("X"))]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
