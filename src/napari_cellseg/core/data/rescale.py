"""Show labelled images to a network at the size of object that it is to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.data.sources import LabelledImage, median_diameter
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.inference.predict import AUTOMATIC_SCALES
from napari_cellseg.core.inference.resample import make_taps, resample

_ENLARGED = 1.2  # times the smallest diameter; chosen on training images of nuclei
_CLOSE = 0.02  # a scale this near to 1 is not worth the blur


def common_scale(images: Sequence[LabelledImage], diameter: float) -> float:
    """Return the scale at which the median of the images' object diameters is `diameter`.

    One scale for all: prediction, too, knows one typical diameter, not that of each image.

    Parameters
    ----------
    images
        Those trained on.
    diameter
        In pixels of the network.

    Raises
    ------
    DataError
        If no image holds an object.
    """
    diameters = [image.diameter for image in images if image.diameter > 0]
    if not diameters:
        raise DataError("No training image holds a labelled object. Add images with labels.")
    scale = diameter / float(np.median(diameters))
    return 1.0 if abs(scale - 1) < _CLOSE else scale


def enlarged(image: LabelledImage, smallest: float) -> LabelledImage:
    """Return an image of small objects enlarged, as prediction shows it to the network.

    Parameters
    ----------
    image
        The image at its own scale.
    smallest
        Diameter in pixels: if the median object is smaller, it becomes `enlarged_diameter` of it,
        but no image is enlarged more than prediction would by itself. 0 leaves all as they are.
    """
    if not 0 < image.diameter < smallest:
        return image
    return rescaled(image, min(enlarged_diameter(smallest) / image.diameter, AUTOMATIC_SCALES[1]))


def enlarged_diameter(smallest: float) -> float:
    """Return the diameter that objects get that are too small for a network."""
    return round(_ENLARGED * smallest, 1)


def rescaled(image: LabelledImage, scale: float) -> LabelledImage:
    """Return a labelled image at another scale, its intensities as `predict` rescales them.

    Parameters
    ----------
    image
        The image at its own scale.
    scale
        New pixels per old pixel; 1 returns the image itself.

    Returns
    -------
    Image, labels and what is known of them (to the nearest pixel), and diameter at the new scale.
    """
    if scale == 1:
        return image
    shape = tuple(max(1, round(n * scale)) for n in image.labels.shape)
    places = [
        (np.arange(length) + 0.5) * (size / length)
        for size, length in zip(image.labels.shape, shape, strict=True)
    ]
    rows, columns = (
        make_taps(place, size / length, 0, size)
        for place, size, length in zip(places, image.labels.shape, shape, strict=True)
    )
    pixels = resample(image.image.astype(np.float32), rows, columns)
    nearest = np.ix_(*(place.astype(np.intp) for place in places))
    labels: npt.NDArray[np.int32] = image.labels[nearest]
    return replace(
        image,
        image=pixels.astype(np.float16),
        labels=labels,
        diameter=median_diameter(labels),
        known=None if image.known is None else image.known[nearest],
    )
