"""The visible part of a result while a slider moves, in a layer of its own."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer

from napari_cellseg.gui.conversion import in_layer_order
from napari_cellseg.gui.geometry import Box, placement
from napari_cellseg.gui.layers import Int32Array, remove, show_over

UInt16Array = npt.NDArray[np.uint16]


def numbers_to_preview(labels: Int32Array) -> UInt16Array:
    """Return labels with numbers of 16 bits; takes long for a large view.

    napari uploads those as they are, while it has to colour numbers of 32 bits itself.
    """
    small = labels.astype(np.uint16)
    if labels.max(initial=0) > np.iinfo(np.uint16).max:
        small = ((labels - 1) % 65535 + 1).astype(np.uint16)
        small[labels == 0] = 0
    return small


def show_preview(
    viewer: ViewerModel,
    result: LabelsLayer,
    axes: str,
    box: Box,
    small: UInt16Array,
    last: LabelsLayer | None,
) -> LabelsLayer:
    """Show labels (Y, X) in place of part `box` of `result`, in the layer of the `last` preview.

    `small` is what `numbers_to_preview` made of them.
    """
    small = small.reshape(*(1 for _ in axes.replace("C", "")[:-2]), *small.shape)
    place = placement(result, axes, box)
    shown = in_layer_order(small, axes)
    if last is not None and last in viewer.layers and last.data.shape == shown.shape:
        last.translate = place["translate"]
        last.data = shown
        return last
    if last is not None:
        remove(viewer, last)
    name = f"{result.name} (preview)"
    return show_over(viewer, name, result, axes, box, small, partial(_hide, result))


def _hide(layer: LabelsLayer) -> None:
    layer.visible = False


def end_preview(viewer: ViewerModel, preview: LabelsLayer, result: LabelsLayer | None) -> None:
    """Show the result again in place of its preview."""
    remove(viewer, preview)
    if result is not None:
        result.visible = True
