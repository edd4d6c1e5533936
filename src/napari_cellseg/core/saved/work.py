"""Work on one image, as it is saved and opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.saved.entries import Box, ImageReference

SUFFIX = ".cellseg"


@dataclass(frozen=True, eq=False)
class SavedWork:
    """Labels, what a person decided about them, and what they were made from.

    Attributes
    ----------
    labels
        The objects; their provenance holds, as in a label TIFF, the record of the run and under
        ``corrections`` states, locks, classes, erased pixels and the reviewed area.
    image
        Which image they belong to; None if that is not known.
    pixels
        The image itself, where it has no file of its own and so lies in the saved work.
    recipe, prediction
        What the labels were made with, and the maps from which other settings give others; None
        where they did not come from a run.
    mask
        bool (Y, X): where labels were wanted; None if everywhere.
    box
        Axis, start and stop of the part of the image that the labels cover; an axis that is not
        named is covered whole.
    history
        What was done, the oldest first: plain values for JSON.
    view
        How it was shown: plain values for JSON.
    """

    labels: Labels
    image: ImageReference | None = None
    pixels: Image | None = None
    recipe: Recipe | None = None
    prediction: Prediction | None = None
    mask: npt.NDArray[np.bool_] | None = None
    box: Box = ()
    history: tuple[Mapping[str, Any], ...] = ()
    view: Mapping[str, Any] = field(default_factory=dict)
