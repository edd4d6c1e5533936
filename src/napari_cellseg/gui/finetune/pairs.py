"""Which image lies under labels, and what of both a model would learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ImageError
from napari_cellseg.gui import conversion, layers
from napari_cellseg.gui.conversion import METADATA_KEY
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.geometry import Box, layer_shape, spatial_axes
from napari_cellseg.session.finetuning.material import OpenLabels

_OFF = 0.05  # px by which pixels of labels and image may lie apart


def open_labels(viewer: ViewerModel, binding: Binding) -> OpenLabels | None:
    """Return the labels of a binding with their image, frozen; None if no image lies under them.

    Nothing is read from disk.
    """
    image = image_of(viewer, binding)
    if image is None:
        return None
    document = binding.document
    if image.leading != document.labels.shape[:-2]:
        return None
    states = document.states
    return OpenLabels(
        key=str(binding.layer.unique_id),
        name=binding.layer.name,
        image=image,
        decided=document.decided(),
        classes={i: states[i].cell_class for i in states if states[i].cell_class},
        channels=channels_of(binding),
    )


def image_of(viewer: ViewerModel, binding: Binding) -> Image | None:
    """Return the part of an image that lies under labels; None if there is none."""
    run = binding.run
    first = run.image.name if run is not None else str(_told(binding).get("image", ""))
    for layer in sorted(layers.image_layers(viewer), key=lambda one: one.name != first):
        known = run.image.axes if run is not None and layer.name == first else ""
        axes = _axes(layer, known)
        box = box_under(layer, axes, binding) if axes else None
        if box is not None:
            return conversion.to_image(layer, axes, box)
    whole = run is not None and (
        (*run.image.leading, run.image.size("Y"), run.image.size("X"))
        == binding.document.labels.shape
    )
    return run.image if run is not None and whole else None  # its layer is gone, it is not


def box_under(layer: ImageLayer, axes: str, binding: Binding) -> Box | None:
    """Return the part of an image layer whose pixels are those of the labels, None if none is."""
    labels, label_axes = binding.layer, binding.axes
    spatial = spatial_axes(layer, axes)
    shape = layer_shape(labels)
    corners = np.array([np.zeros(len(shape)), np.array(shape) - 1.0])
    world = np.array([labels.data_to_world(corner) for corner in corners])
    world = np.pad(world, ((0, 0), (max(layer.ndim - labels.ndim, 0), 0)))
    found = np.array([layer.world_to_data(corner[-layer.ndim :]) for corner in world])
    box: dict[str, slice] = {}
    for axis in "TZYX":
        length = layer_shape(layer)[spatial.index(axis)] if axis in spatial else 1
        if axis not in label_axes:
            if length > 1:
                return None
            continue
        if axis not in spatial:
            if shape[label_axes.index(axis)] > 1:
                return None
            continue
        first, last = found[:, spatial.index(axis)]
        start, stop = round(first), round(last) + 1
        size = shape[label_axes.index(axis)]
        apart = max(abs(first - start), abs(last + 1 - stop))
        if apart > _OFF or stop - start != size or start < 0 or stop > length:
            return None
        box[axis] = slice(start, stop)
    return box


def channels_of(binding: Binding) -> tuple[int, ...] | None:
    """Return the channels that the model of the labels was given, None for all."""
    if binding.run is not None:
        return binding.run.recipe.preparation.channels
    told = _told(binding).get("recipe", {})
    found = told.get("preparation", {}).get("channels") if isinstance(told, dict) else None
    return tuple(int(one) for one in found) if found else None


def model_of(binding: Binding) -> str:
    """Return the name of the model that made the labels, "" if they come from elsewhere."""
    if binding.run is not None:
        return binding.run.recipe.model
    told = _told(binding).get("recipe", {})
    return str(told.get("model", "")) if isinstance(told, dict) else ""


def _told(binding: Binding) -> dict[str, Any]:
    found = binding.layer.metadata.get(METADATA_KEY, {})
    return found if isinstance(found, dict) else {}


def _axes(layer: ImageLayer, known: str) -> str:
    if len(known) == len(layer_shape(layer)):
        return known
    try:
        return conversion.guess_layer_axes(layer).axes
    except ImageError:
        return ""
