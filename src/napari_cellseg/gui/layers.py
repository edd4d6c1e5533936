"""The only place, with those that import it, that adds, edits or removes layers."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Shapes, Vectors
from napari.layers._source import layer_source
from napari.utils.colormaps import CyclicLabelColormap

from napari_cellseg.core.arrays import Image
from napari_cellseg.gui.adding import insert
from napari_cellseg.gui.conversion import (
    CORRECTIONS_KEY,
    HISTORY_KEY,
    METADATA_KEY,
    in_layer_order,
)
from napari_cellseg.gui.geometry import Box, full_box, placement, spatial_axes

SIGNAL_COLOUR = "#ff9f1c"
_LINE_WIDTH = 2.5  # px on the screen
PASSING_KEY = "napari-cellseg passing"
"""Metadata of layers that only show something, or that belong to other labels."""

Int32Array = npt.NDArray[np.int32]


def image_layers(viewer: ViewerModel) -> list[ImageLayer]:
    """Return the image layers, topmost first."""
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, ImageLayer)]


def active_image(viewer: ViewerModel) -> ImageLayer | None:
    """Return the image layer to offer first: the active one, else the topmost."""
    active = viewer.layers.selection.active
    if isinstance(active, ImageLayer):
        return active
    layers = image_layers(viewer)
    return layers[0] if layers else None


def labels_layers(viewer: ViewerModel) -> list[LabelsLayer]:
    """Return the labels layers that a person works on, topmost first."""
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, LabelsLayer) and not layer.metadata.get(PASSING_KEY)
    ]


def add_image(
    viewer: ViewerModel, image: Image, name: str, then: Callable[[ImageLayer], None]
) -> ImageLayer:
    """Add an image that was read from a file, with its pixel size, and select it.

    `then` is called with the layer as soon as it is seen, unless it is removed before.
    """
    axes = image.axes.removesuffix("C") if image.rgb else image.axes
    y, x = image.pixel_size or (1.0, 1.0)
    steps = {"Z": image.z_step or 1.0, "Y": y, "X": x}
    lengths = {"Y", "X"} if image.pixel_size else set()
    lengths |= {"Z"} if image.z_step and image.pixel_size else set()
    with layer_source(path=str(image.source) if image.source is not None else None):
        layer = ImageLayer(
            image.data,
            rgb=image.rgb,
            name=name or image.name,
            scale=tuple(steps.get(axis, 1.0) for axis in axes),
            units=tuple("micrometer" if axis in lengths else "pixel" for axis in axes),
            axis_labels=tuple(axes.lower()),
            metadata={"channel_names": image.channel_names} if image.channel_names else {},
            visible=False,
        )
    insert(viewer, layer, then=partial(then, layer))
    return layer


def add_result(
    viewer: ViewerModel,
    source: ImageLayer,
    axes: str,
    box: Box,
    labels: Int32Array,
    metadata: Mapping[str, Any],
) -> LabelsLayer:
    """Add `labels` as a layer that lies exactly on `box` of `source`, and select it."""
    layer = LabelsLayer(
        in_layer_order(labels, spatial_axes(source, axes)),
        name=f"{source.name} cells",
        metadata={METADATA_KEY: dict(metadata)},
        visible=False,
        **placement(source, axes, box),
    )
    insert(viewer, layer)
    return layer


def add_labels(viewer: ViewerModel, labels: Int32Array, about: Mapping[str, Any]) -> LabelsLayer:
    """Add labels (T?, Z?, Y, X) that were kept with what their layer was like, and select it."""
    layer = LabelsLayer(
        in_layer_order(labels, about["axes"]),
        name=about["name"],
        scale=about["scale"],
        translate=about["translate"],
        affine=np.asarray(about["affine"]),
        units=tuple(about["units"]),
        axis_labels=tuple(about["axis_labels"]),
        metadata={METADATA_KEY: dict(about["metadata"])},
        visible=False,
    )
    insert(viewer, layer)
    return layer


def describe(layer: LabelsLayer, metadata: Mapping[str, Any]) -> None:
    """Tell where the labels come from; what a person decided about them stays with the layer."""
    old = layer.metadata.get(METADATA_KEY, {})
    kept = {key: old[key] for key in (CORRECTIONS_KEY, HISTORY_KEY) if key in old}
    layer.metadata[METADATA_KEY] = {**metadata, **kept}


def replace_data(layer: LabelsLayer, labels: Int32Array, axes: str) -> None:
    """Show other labels of the same shape, and forget the undo steps that led to the old ones.

    An undo after ``layer.data = new`` would write pixels of the old labels into the new ones.
    """
    layer.data = in_layer_order(labels, axes)
    forget_history(layer)


def forget_history(layer: LabelsLayer) -> None:
    """Drop napari's own undo steps of a layer."""
    reset = getattr(layer, "_reset_history", None)
    if reset is not None:
        reset()


def stroke_in_progress(layer: LabelsLayer) -> bool:
    """Whether the user is in the middle of a brush stroke, which new data would spoil."""
    return bool(getattr(layer, "_staged_history", ()))


def show_over(
    viewer: ViewerModel,
    name: str,
    below: LabelsLayer,
    axes: str,
    box: Box,
    labels: npt.NDArray[Any],
    then: Callable[[], None] | None = None,
    **options: Any,
) -> LabelsLayer:
    """Show a passing layer over part `box` of the layer `below`, without taking the focus.

    `then` is called as soon as it is seen.
    """
    selected = viewer.layers.selection.active
    layer = LabelsLayer(
        in_layer_order(labels, axes),
        name=name,
        metadata={PASSING_KEY: True},
        visible=False,
        **options,
        **placement(below, axes, box),
    )
    layer.editable = False
    insert(viewer, layer, viewer.layers.index(below) + 1, then)
    if selected is not None:
        viewer.layers.selection.active = selected
    return layer


def show_marked(
    viewer: ViewerModel, over: LabelsLayer, axes: str, marked: npt.NDArray[np.uint8], name: str
) -> LabelsLayer:
    """Show the pixels that are `marked` with 1, (T?, Z?, Y, X), in a signal colour."""
    colours = signal_colours()
    box = full_box(over, axes)
    return show_over(viewer, name, over, axes, box, marked, colormap=colours, opacity=0.6)


def signal_colours() -> CyclicLabelColormap:
    """Return the colours of a mask: transparent where it is 0, else the signal colour.

    Not a `DirectLabelColormap`: napari would compile code for the first of them, with the window
    standing still for two seconds.
    """
    return CyclicLabelColormap(colors=["transparent", SIGNAL_COLOUR], background_value=0)


def show_line(
    viewer: ViewerModel,
    over: LabelsLayer,
    last: Vectors | None,
    line: npt.NDArray[Any],
    name: str = "Line",
) -> Vectors:
    """Show a line, (N >= 2, ndim) in pixels of the layer `over`, in place of the `last` one.

    As vectors: a path among shapes has parts that outlive it, and crash some OpenGL drivers.
    """
    # As wide on the screen whatever the zoom.
    width = _LINE_WIDTH / (viewer.scene.camera.zoom * abs(float(over.scale[-1])) or 1.0)
    pieces = np.stack([line[:-1], np.diff(line, axis=0)], axis=1)
    if last is not None and last in viewer.layers:
        last.data = pieces
        last.edge_width = width
        return last
    selected = viewer.layers.selection.active
    # See `remove`, which undoes it: it looks through what was made since then.
    gc.freeze()
    layer = Vectors(
        pieces,
        name=name,
        vector_style="line",
        edge_color=SIGNAL_COLOUR,
        edge_width=width,
        metadata={PASSING_KEY: True},
        scale=over.scale,
        translate=over.translate,
        rotate=over.rotate,
        affine=over.affine,
        units=over.units,
        axis_labels=over.axis_labels,
    )
    viewer.add_layer(layer)
    if selected is not None:
        viewer.layers.selection.active = selected
    return layer


def remove(viewer: ViewerModel, layer: Any) -> None:
    """Remove `layer` if it is still there, leaving the selection alone."""
    if layer not in viewer.layers:
        return
    selected = viewer.layers.selection.active
    # napari collects garbage whenever a layer goes: the window would stand still for 0.3 s to look
    # through all objects of the process. Those that exist now wait for the next collection, but
    # not the drawing of a line: buffers of it that go later than it does crash some OpenGL drivers.
    if not isinstance(layer, Shapes | Vectors):
        gc.freeze()
    try:
        viewer.layers.remove(layer)
    finally:
        gc.unfreeze()
    if selected is not layer and selected in viewer.layers:
        viewer.layers.selection.active = selected
