"""Layers that a person draws shapes in: a region to segment, a line to measure."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Shapes

from napari_cellseg.gui.layers import PASSING_KEY, SIGNAL_COLOUR

REGION_NAME = "CellSeg region"


def region_layer(viewer: ViewerModel) -> Shapes | None:
    """Return the shapes layer that holds the region: the active one, else the topmost drawn on."""
    active = viewer.layers.selection.active
    if isinstance(active, Shapes) and len(active.data):
        return active
    for layer in reversed(viewer.layers):
        passing = layer.metadata.get(PASSING_KEY)
        if isinstance(layer, Shapes) and len(layer.data) and not passing:
            return layer
    return None


def start_drawing(viewer: ViewerModel, source: ImageLayer, name: str, mode: str) -> Shapes:
    """Add a shapes layer over `source`, select it, and start drawing in `mode`."""
    layer = Shapes(
        ndim=source.ndim,
        name=name,
        edge_color=SIGNAL_COLOUR,
        face_color="transparent",
        edge_width=2,
        scale=source.scale,
        translate=source.translate,
        rotate=source.rotate,
        units=source.units,
        axis_labels=source.axis_labels,
    )
    viewer.add_layer(layer)
    layer.mode = mode
    return layer
