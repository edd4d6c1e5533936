"""Finds the part of one layer on which another lies."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer

from napari_cellseg.core.errors import ImageError
from napari_cellseg.gui.conversion import guess_layer_axes
from napari_cellseg.gui.geometry import Box, layer_shape, spatial_axes

_TOLERANCE = 0.1  # px between the grids of two layers that lie on each other


def part_below(layer: Any, axes: str, frame: LabelsLayer, frame_axes: str) -> Box | None:
    """Return the part of `layer` that `frame` covers pixel by pixel, None if it does not.

    Parameters
    ----------
    layer, axes
        Layer to cut, and the letters of its dimensions.
    frame, frame_axes
        Labels that lie on it or on a part of it.
    """
    own = spatial_axes(layer, axes)
    shape = dict(zip(own, layer_shape(layer), strict=False))
    size = dict(zip(frame_axes, layer_shape(frame), strict=True))
    alone = [size.get(a, 1) if a in size else shape[a] for a in "TZ" if (a in size) != (a in shape)]
    if any(n > 1 for n in alone):
        return None
    low, high = (_in_layer(layer, frame, corner) for corner in _corners(frame))
    box = {}
    for axis in (a for a in "TZYX" if a in own and a in size):
        k = own.index(axis)
        start, stop = round(float(low[k])), round(float(high[k])) + 1
        apart = max(abs(low[k] - start), abs(high[k] + 1 - stop))
        if apart > _TOLERANCE or start < 0 or stop > shape[axis] or stop - start != size[axis]:
            return None
        box[axis] = slice(start, stop)
    return box


def fitting_axes(layer: ImageLayer, frame: LabelsLayer, frame_axes: str) -> tuple[str, Box] | None:
    """Return what the axes of an image are, and its part below the labels; None if none fit.

    Where several readings are possible, that which fits the labels is the right one.
    """
    readings = []
    try:
        readings.append(guess_layer_axes(layer).axes)
    except ImageError:
        return None
    if not layer.rgb:
        bare = frame_axes.replace("C", "")
        at = [frame_axes, bare, *(f"{bare[:k]}C{bare[k:]}" for k in range(len(bare) + 1))]
        readings += [axes for axes in at if len(axes) == layer.ndim]
    for axes in readings:
        box = part_below(layer, axes, frame, frame_axes)
        if box is not None:
            return axes, box
    return None


def _corners(frame: LabelsLayer) -> tuple[Any, Any]:
    last = np.array(layer_shape(frame), float) - 1
    return np.zeros(frame.ndim), last


def _in_layer(layer: Any, frame: LabelsLayer, corner: Any) -> Any:
    """Return a position in the pixels of `frame` in those of `layer`; last axes go together."""
    world = np.asarray(frame.data_to_world(corner))
    lacking = layer.ndim - world.size
    if lacking > 0:
        world = np.pad(world, (lacking, 0))
    return np.asarray(layer.world_to_data(world[-layer.ndim :]))
