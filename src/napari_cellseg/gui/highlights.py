"""Layers over labels that show which objects are selected, which are wrong or were removed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.utils.colormaps import CyclicLabelColormap
from napari.utils.colormaps.standardize_color import transform_color

from napari_cellseg.gui.conversion import in_layer_order
from napari_cellseg.gui.geometry import Box, full_box
from napari_cellseg.gui.layers import (
    SIGNAL_COLOUR,
    Int32Array,
    forget_history,
    remove,
    show_over,
    signal_colours,
)
from napari_cellseg.gui.overlays import lay_over

SELECTED_NAME = "Selected objects"
ERRORS_NAME = "Errors"
_TINT, _DIM = 0.75, 0.6  # opacities

UInt8Array = npt.NDArray[np.uint8]


def show_selected(
    viewer: ViewerModel,
    below: LabelsLayer,
    axes: str,
    box: Box,
    mask: UInt8Array,
    last: LabelsLayer | None,
) -> LabelsLayer:
    """Tint objects of the plane `box` of the labels, and dim others, in place of the `last` layer.

    Parameters
    ----------
    mask
        (Y, X): 1 to tint, 2 to dim, 0 for the background.
    """
    shape = tuple(box[axis].stop - box[axis].start for axis in "TZYX" if axis in box)
    turned = in_layer_order(mask.reshape(shape), axes)
    if last is not None and last in viewer.layers and last.data.shape == turned.shape:
        last.data = turned
        lay_over(last, below, axes, box)
        forget_history(last)
        return last
    if last is not None:
        remove(viewer, last)
    layer = show_over(
        viewer,
        SELECTED_NAME,
        below,
        axes,
        box,
        mask.reshape(shape),
        colormap=_told_apart(),
        opacity=1.0,
    )
    layer.help = "The objects that are selected in the table of measurements."
    return layer


def _told_apart() -> CyclicLabelColormap:
    """Return the colours of what is selected, and of what is not."""
    signal = transform_color(SIGNAL_COLOUR)[0]
    colours = [(0, 0, 0, 0), (*signal[:3], _TINT), (0, 0, 0, _DIM)]
    return CyclicLabelColormap(colors=np.array(colours, np.float32), background_value=0)


def show_errors(
    viewer: ViewerModel,
    below: LabelsLayer,
    axes: str,
    codes: UInt8Array,
    colours: Mapping[int, tuple[int, int, int]],
) -> LabelsLayer:
    """Add a layer of errors over the labels, without taking the focus.

    Parameters
    ----------
    codes
        (T?, Z?, Y, X), 0 where nothing is wrong, else a key of `colours`.
    colours
        8-bit colours of the codes 1, 2, ...
    """
    tints = [np.array((*colours[code], 255)) / 255 for code in sorted(colours)]
    colormap = CyclicLabelColormap(
        colors=np.array([np.zeros(4), *tints], np.float32), background_value=0
    )
    box = full_box(below, axes)
    layer = show_over(viewer, ERRORS_NAME, below, axes, box, codes, colormap=colormap, opacity=0.75)
    layer.help = "Orange: missed; sky blue: extra; red: merged; pink: split; yellow: poor outline."
    return layer


def show_removed(
    viewer: ViewerModel, result: LabelsLayer, axes: str, labels: Int32Array, title: str
) -> LabelsLayer:
    """Show removed objects over `result` in a signal colour, ready to be clicked."""
    colours = signal_colours()
    name = f"Removed: {title}"
    box = full_box(result, axes)
    layer = show_over(viewer, name, result, axes, box, labels, colormap=colours, opacity=0.8)
    viewer.layers.selection.active = layer
    return layer
