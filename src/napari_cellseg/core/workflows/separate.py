"""Maps to objects: what the network left of an image, and what comes of it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.classify import ObjectClasses, classify
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.postprocess.stack import StackResult, postprocess_stack
from napari_cellseg.core.provenance import RunRecord
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.zoo.card import Card

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
    processor
        One that has worked on the maps of the only plane before: stages under the same settings
        are not done again.
    """

    image: Image
    recipe: Recipe
    prediction: Prediction
    device_reason: str
    seconds: float
    started: str
    processor: PostProcessor | None = None

    def separated(self) -> Segmentation:
        """Return the objects; may be called in another thread than the network runs in.

        Raises
        ------
        SettingsError
            If the settings need a map that the model does not predict.
        """
        clock, image, prediction = time.perf_counter(), self.image, self.prediction
        objects = self._objects()
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

    def _objects(self) -> StackResult:
        if self.processor is None:
            return postprocess_stack(self.prediction, self.recipe.post)
        only = self.processor.run(self.recipe.post)
        return StackResult(only.labels, only.count, {(): only.removed})


@dataclass(frozen=True)
class Rescale:
    """The image has to be predicted, or predicted again.

    Attributes
    ----------
    diameter
        Of its objects in px, if they are not of the size that the model is made for; None if only
        a sample was seen and the image can be shown as it is.
    """

    diameter: float | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network left when it first saw an image, or a sample of it; without the network.

    Attributes
    ----------
    image, recipe, prediction
        As of `Segmentation`.
    card
        Of the model.
    device_reason
        Why the device was chosen.
    whole
        Whether `prediction` is all of the image, not a sample.
    told
        Whether the scale was known beforehand.
    seconds, started
        How long it took, and ISO time of the start.
    """

    image: Image
    recipe: Recipe
    prediction: Prediction
    card: Card
    device_reason: str
    whole: bool
    told: bool
    seconds: float
    started: str

    def settled(self) -> Predicted | Rescale:
        """Look whether the objects fit the model's range; in any thread or process.

        Returns
        -------
        The prediction if it can stay as it is, else what the network has to do.
        """
        if self.told:
            return self._predicted(self.seconds)
        clock = time.perf_counter()
        processor: PostProcessor | None = None
        if self.whole:  # of which the final objects may be made with the same processor
            processor = PostProcessor(self.prediction.plane(()))
            diameter = diameter_of(processor.run(PostParams.parse(self.card.post)).labels)
        else:
            diameter = median_diameter(self.prediction, self.card)
        low, high = self.card.diameter_range
        if diameter is not None and not low <= diameter <= high:
            return Rescale(diameter)
        if not self.whole:
            return Rescale()
        return self._predicted(self.seconds + time.perf_counter() - clock, processor)

    def _predicted(self, seconds: float, processor: PostProcessor | None = None) -> Predicted:
        return Predicted(
            self.image,
            self.recipe,
            self.prediction,
            self.device_reason,
            seconds,
            self.started,
            processor,
        )


def median_diameter(prediction: Prediction, card: Card) -> float | None:
    """Return the diameter in px of a disc as large as the median object; None for fewer than 5.

    The card's post-processing is used, not the recipe's: thresholds that are moved afterwards
    must not change the scale at which the network ran.
    """
    return diameter_of(postprocess_stack(prediction, PostParams.parse(card.post)).labels)


def diameter_of(labels: npt.NDArray[np.int32]) -> float | None:
    """Return the diameter in px of a disc as large as the median object; None for fewer than 5."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    if areas.size < _FEWEST_OBJECTS:
        return None
    return 2 * math.sqrt(float(np.median(areas)) / math.pi)
