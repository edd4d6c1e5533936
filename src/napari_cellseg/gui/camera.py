"""Moves the view to a place in a layer, and outlines places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer

Index = tuple[int, ...]
"""Place of a plane along those of T and Z that there are."""
Window = tuple[slice, slice]
"""Rows and columns."""

_LEAST_SHOWN = 20  # px: smaller objects are shown as if they were so large


def go_to(
    viewer: ViewerModel,
    layer: LabelsLayer,
    axes: str,
    index: Index,
    box: Window,
    margin: float = 5.0,
) -> None:
    """Show a box of a plane of `layer` in the middle of the canvas, `margin` times as large."""
    position = np.zeros(layer.ndim)
    for axis, k in zip((a for a in "TZ" if a in axes), index, strict=True):
        position[axes.index(axis)] = k
    y, x = axes.index("Y"), axes.index("X")
    position[y] = (box[0].start + box[0].stop - 1) / 2
    position[x] = (box[1].start + box[1].stop - 1) / 2
    world = np.asarray(layer.data_to_world(position))
    first = viewer.dims.ndim - layer.ndim
    for axis in (a for a in "TZ" if a in axes):
        k = axes.index(axis)
        viewer.dims.set_point(first + k, float(world[k]))
    size = max(
        (box[0].stop - box[0].start) * abs(float(layer.scale[y])),
        (box[1].stop - box[1].start) * abs(float(layer.scale[x])),
        _LEAST_SHOWN * abs(float(layer.scale[y])),
    )
    camera = viewer.scene.camera
    camera.center = (*camera.center[:-2], float(world[y]), float(world[x]))
    camera.zoom = min(viewer.canvas.size) / (size * margin)


def outline(axes: str, index: Index, box: Window, margin: float) -> npt.NDArray[np.float64]:
    """Return the closed line (5, ndim) that goes around a box of a plane at `margin` px from it."""
    top, bottom = box[0].start - 0.5 - margin, box[0].stop - 0.5 + margin
    left, right = box[1].start - 0.5 - margin, box[1].stop - 0.5 + margin
    line = np.zeros((5, len(axes)))
    for axis, k in zip((a for a in "TZ" if a in axes), index, strict=True):
        line[:, axes.index(axis)] = k
    line[:, axes.index("Y")] = [top, top, bottom, bottom, top]
    line[:, axes.index("X")] = [left, right, right, left, left]
    return line
