"""Layers over labels that belong to them: the reviewed area and the outlines of locked objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_cellseg.gui.adding import insert
from napari_cellseg.gui.conversion import in_layer_order
from napari_cellseg.gui.geometry import Box, full_box, placement
from napari_cellseg.gui.layers import (
    PASSING_KEY,
    forget_history,
    remove,
    show_over,
    signal_colours,
)

REVIEWED_NAME = "Reviewed area"
LOCKED_NAME = "Locked"
TRAINED_NAME = "Preview of the training"

_OF_KEY = "napari-cellseg labels"  # metadata of an area: the labels that it belongs to
_OUTLINED = 2**22  # pixels of a plane
_OUTLINE = 3  # px
_TRAINED_OUTLINE = 2  # px
_TINT = 0.3
_PLACES = ("scale", "translate", "rotate", "shear", "affine")

UInt8Array = npt.NDArray[np.uint8]


def add_reviewed(
    viewer: ViewerModel, below: LabelsLayer, axes: str, mask: UInt8Array
) -> LabelsLayer:
    """Add the reviewed area `mask` (T?, Z?, Y, X) of the labels `below`, leaving the focus.

    It is drawn by its outline, which leaves the labels as they are to be seen and is told by more
    than its colour. In planes beyond 2048² it is a tint: napari needs 0.4 s to find the outline
    in 4096².
    """
    box = full_box(below, axes)
    layer = LabelsLayer(
        in_layer_order(mask, axes),
        name=REVIEWED_NAME,
        metadata={PASSING_KEY: True, _OF_KEY: str(below.unique_id)},
        colormap=signal_colours(),
        visible=False,
        **placement(below, axes, box),
    )
    large = mask.shape[-1] * mask.shape[-2] > _OUTLINED
    layer.contour = 0 if large else _OUTLINE
    layer.opacity = _TINT if large else 1.0
    layer.help = "What is marked here is right; fitting and fine-tuning trust it."
    _insert(viewer, below, layer)
    return layer


def reviewed_layer(layers: Iterable[Layer], labels: LabelsLayer) -> LabelsLayer | None:
    """Return the layer of the reviewed area of `labels`, None if there is none of their shape."""
    shape = labels.data.shape
    fitting = [area for area in areas_of(layers, labels) if area.data.shape == shape]
    return fitting[0] if fitting else None


def areas_of(layers: Iterable[Layer], labels: LabelsLayer) -> list[LabelsLayer]:
    """Return the layers that mark an area of `labels`, whatever their shape."""
    return [layer for layer in layers if layer.metadata.get(_OF_KEY) == str(labels.unique_id)]


def labels_of_reviewed(labels: Iterable[LabelsLayer], layer: Layer) -> LabelsLayer | None:
    """Return which of some `labels` the reviewed area `layer` belongs to, None if to none."""
    of = layer.metadata.get(_OF_KEY)
    return next((one for one in labels if str(one.unique_id) == of), None)


def mark(layer: LabelsLayer, axes: str, box: Box, values: UInt8Array | int) -> None:
    """Put values, one or a plane (Y, X) of them, into a box of a mask; its own undo knows them.

    Not by `Labels.data_setitem`, which takes seconds and gigabytes for a plane of 4096².
    """
    where = tuple(box.get(axis, slice(None)) for axis in axes)
    before = layer.data[where].copy()
    after: Any = values
    if isinstance(values, np.ndarray):
        leading = (1 for axis in axes if axis in "TZ")
        after = in_layer_order(values.reshape(*leading, *values.shape), axes)
    if (before == after).all():
        return
    layer.data[where] = after
    remember = getattr(layer, "_save_history", None)
    if remember is not None:
        remember((where, before, after))
    layer.refresh(extent=False)


def remember_mark(layer: LabelsLayer, axes: str, box: Box) -> None:
    """Let the undo of a new mask know the box that it was made with."""
    where = tuple(box.get(axis, slice(None)) for axis in axes)
    after = layer.data[where].copy()
    remember = getattr(layer, "_save_history", None)
    if remember is not None:
        remember((where, np.zeros_like(after), after))


def start_painting(viewer: ViewerModel, layer: LabelsLayer) -> None:
    """Let the brush add to a mask."""
    viewer.layers.selection.active = layer
    layer.visible = True
    layer.selected_label = 1
    layer.brush_size = max(layer.brush_size, 40)
    layer.mode = "paint"


def show_locked(
    viewer: ViewerModel,
    below: LabelsLayer,
    axes: str,
    box: Box,
    picture: UInt8Array,
    last: LabelsLayer | None,
) -> LabelsLayer:
    """Show `picture` (Y, X) over the plane `box` of the labels, in place of the `last` one."""
    shape = tuple(box[axis].stop - box[axis].start for axis in "TZYX" if axis in box)
    plane = picture.reshape(shape)
    turned = in_layer_order(plane, axes)
    if last is not None and last in viewer.layers and last.data.shape == turned.shape:
        last.data = turned
        last.translate = placement(below, axes, box)["translate"]
        forget_history(last)
        return last
    if last is not None:
        remove(viewer, last)
    layer = show_over(
        viewer, LOCKED_NAME, below, axes, box, plane, colormap=signal_colours(), opacity=1.0
    )
    layer.help = "Solid outlines: accepted objects; dashed ones: edited objects."
    return layer


def paint_locked(layer: LabelsLayer, axes: str, corner: tuple[int, int], part: UInt8Array) -> None:
    """Replace the part of the picture that begins at `corner` (y, x), and show what differs."""
    rows, columns = part.shape
    window = {"Y": slice(corner[0], corner[0] + rows), "X": slice(corner[1], corner[1] + columns)}
    where = tuple(window.get(axis, slice(None)) for axis in axes)
    turned = in_layer_order(part.reshape(*(1 for a in axes if a in "TZ"), rows, columns), axes)
    different = np.nonzero(layer.data[where] != turned)
    if not different[0].size:
        return
    if not layer.visible:
        layer.data[where] = turned  # it is read again when the layer is shown
        return
    at = tuple(k + (part.start or 0) for k, part in zip(different, where, strict=True))
    layer.data_setitem(at, turned[different])
    forget_history(layer)


def lay_over(layer: LabelsLayer, below: LabelsLayer, axes: str, box: Box) -> None:
    """Put a layer over part `box` of the layer `below`, which has been moved."""
    place = placement(below, axes, box)
    for name in _PLACES:
        setattr(layer, name, place[name])


def connect_place(layer: LabelsLayer, slot: Any, on: bool = True) -> None:
    """Call `slot` whenever a layer is moved, shown or hidden, or no longer."""
    for name in (*_PLACES, "visible"):
        event = getattr(layer.events, name)
        (event.connect if on else event.disconnect)(slot)


def _insert(viewer: ViewerModel, below: LabelsLayer, layer: LabelsLayer) -> None:
    selected = viewer.layers.selection.active
    insert(viewer, layer, viewer.layers.index(below) + 1)
    if selected is not None:
        viewer.layers.selection.active = selected


def show_trained(
    viewer: ViewerModel,
    below: LabelsLayer,
    axes: str,
    box: Box,
    objects: UInt8Array,
    last: LabelsLayer | None,
) -> LabelsLayer:
    """Show the objects (Y, X) that a model in training finds, over part of `below`.

    They take the place of the `last` ones. They are outlined, or tinted where the part is beyond
    2048²: see `add_reviewed`.
    """
    shape = tuple(box[axis].stop - box[axis].start for axis in "TZYX" if axis in box)
    shown = in_layer_order(objects.reshape(shape), axes)
    if last is not None and last in viewer.layers and last.data.shape == shown.shape:
        last.data = shown
        last.translate = placement(below, axes, box)["translate"]
        return last
    if last is not None:
        remove(viewer, last)
    layer = show_over(viewer, TRAINED_NAME, below, axes, box, objects.reshape(shape), opacity=1.0)
    large = objects.size > _OUTLINED
    layer.contour = 0 if large else _TRAINED_OUTLINE
    layer.opacity = _TINT if large else 1.0
    layer.help = "What the model that is being trained would find here now."
    return layer
