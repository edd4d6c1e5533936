"""Where things are: which part of a layer to work on, and where its result belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image as ImageLayer
from napari.layers import Shapes
from napari.utils.transforms import Affine

Box = Mapping[str, slice]
"""Part of an image by axis letter of ``"TZYX"``, in pixels; an axis that is absent is whole."""


def layer_shape(layer: Any) -> tuple[int, ...]:
    """Shape of the full-resolution data, including the colour samples of an RGB layer."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in data.shape)


def full_box(layer: Any, axes: str) -> dict[str, slice]:
    """Return the whole of `layer`."""
    shape = layer_shape(layer)
    return {axis: slice(0, n) for axis, n in zip(axes, shape, strict=True) if axis in "TZYX"}


def slice_box(layer: Any, axes: str, point: Sequence[float]) -> dict[str, slice]:
    """Return the plane that the viewer shows at world position `point`."""
    box = full_box(layer, axes)
    position = layer.world_to_data(np.asarray(point)[-layer.ndim :])
    for axis in "TZ":
        if axis in box:
            last = box[axis].stop - 1
            index = int(np.clip(np.round(position[axes.index(axis)]), 0, last))
            box[axis] = slice(index, index + 1)
    return box


def view_box(layer: Any, axes: str, point: Sequence[float]) -> dict[str, slice]:
    """Return the part of the shown plane that is within the canvas (all of it if none is)."""
    box = slice_box(layer, axes, point)
    corners = np.asarray(layer.corner_pixels, dtype=float)
    if layer.multiscale:
        corners = corners * np.asarray(layer.downsample_factors[layer.data_level])
    for axis in "YX":
        low, high = corners[:, axes.index(axis)]
        start = max(0, int(low))
        stop = min(box[axis].stop, int(np.ceil(high)) + 1)
        if stop - start > 1:
            box[axis] = slice(start, stop)
    return box


def shows_planes(dims: Any, ndim: int, axes: str) -> bool:
    """Tell whether a viewer of `dims` shows rows and columns of a layer with `ndim` `axes`."""
    first = dims.ndim - ndim
    return {axes[k - first] for k in dims.displayed if k >= first} == {"Y", "X"}


def region(
    shapes: Shapes, layer: ImageLayer, axes: str, point: Sequence[float]
) -> tuple[dict[str, slice], npt.NDArray[np.bool_] | None] | None:
    """Return the bounding box of the drawn shapes in the shown plane, and the mask within it.

    The mask (Y, X) is None if the region is just its box. None if nothing lies on the image.
    """
    box = slice_box(layer, axes, point)
    outlines = [
        _outline(vertices, kind, shapes, layer, axes)
        for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True)
    ]
    if not outlines:
        return None
    corners = np.concatenate(outlines)
    for column, axis in enumerate("YX"):
        start = max(0, int(np.floor(corners[:, column].min() + 0.5)))
        stop = min(box[axis].stop, int(np.ceil(corners[:, column].max() + 0.5)))
        if stop <= start:
            return None
        box[axis] = slice(start, stop)
    return box, _mask(outlines, box)


def _outline(
    vertices: npt.NDArray[Any], kind: str, shapes: Shapes, layer: ImageLayer, axes: str
) -> npt.NDArray[np.float64]:
    """Return the outline of one shape in (Y, X) pixels of the image."""
    corners = np.asarray(vertices, dtype=float)
    if kind == "ellipse":  # stored as the corners of its box
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
        centre = corners.mean(axis=0)
        half = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
        corners = centre + np.cos(angle) * half[0] + np.sin(angle) * half[1]
    world = np.asarray([shapes.data_to_world(corner) for corner in corners])
    lacking = layer.ndim - world.shape[1]
    if lacking > 0:
        world = np.pad(world, ((0, 0), (lacking, 0)))
    pixels = np.asarray([layer.world_to_data(corner[-layer.ndim :]) for corner in world])
    return pixels[:, [axes.index("Y"), axes.index("X")]]


def _mask(outlines: list[npt.NDArray[np.float64]], box: Box) -> npt.NDArray[np.bool_] | None:
    from skimage.draw import polygon2mask

    extent = (box["Y"].stop - box["Y"].start, box["X"].stop - box["X"].start)
    origin = np.array([box["Y"].start, box["X"].start])
    mask = np.zeros(extent, dtype=bool)
    for outline in outlines:
        mask |= polygon2mask(extent, outline - origin)
    return None if mask.mean() > 0.98 else mask


def spatial_axes(layer: Any, axes: str) -> str:
    """Return `axes` without the colour samples of an RGB layer, which are no dimension of it."""
    return axes[:-1] if getattr(layer, "rgb", False) else axes


def result_shape_and_order(axes: str) -> tuple[list[int], int | None]:
    """Return how (T, Z, Y, X) labels are turned to fit a layer with `axes`.

    Returns
    -------
    Order in which to transpose the labels, and where to insert an axis of length 1 in place of
    the channels (None if channels lead, are colour samples at the end, or do not exist).
    """
    kept = [axis for axis in axes if axis != "C"]
    canonical = [axis for axis in "TZYX" if axis in kept]
    order = [canonical.index(axis) for axis in kept]
    position = axes.find("C")
    return order, (position if position > 0 else None)


def placement(layer: Any, axes: str, box: Box) -> dict[str, Any]:
    """Return the Labels keywords that lay a result over `box` of `layer`.

    A channel axis between others keeps its place with length 1, stretched over all channels, so
    that the labels show whichever channel is looked at.
    """
    axes = spatial_axes(layer, axes)
    shape = layer_shape(layer)
    scale = np.array(layer.scale, dtype=float)
    offset = np.array([box[a].start if a in box else 0 for a in axes], dtype=float)
    _, channel = result_shape_and_order(axes)
    if channel is not None:
        offset[channel] = (shape[channel] - 1) / 2
    rotate, shear = np.asarray(layer.rotate), layer.shear
    place = Affine(scale=scale, translate=layer.translate, rotate=rotate, shear=shear)
    translate = np.asarray(place(offset))
    if channel is not None:
        scale[channel] *= shape[channel]
    # Channels that lead are left out: layers are aligned at their last axes.
    first = 1 if axes.startswith("C") else 0
    affine = np.asarray(layer.affine.affine_matrix)
    return {
        "scale": scale[first:],
        "translate": translate[first:],
        "rotate": rotate[first:, first:],
        "shear": _upper(np.asarray(shear), len(axes))[first:, first:],
        "affine": affine[first:, first:],
        "units": tuple(layer.units[first:]),
        "axis_labels": tuple(layer.axis_labels[first:]),
    }


def _upper(shear: npt.NDArray[Any], ndim: int) -> npt.NDArray[Any]:
    """Return napari's shear vector as the upper triangular matrix that it stands for."""
    if shear.ndim == 2:
        return shear
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, 1)] = shear
    return matrix
