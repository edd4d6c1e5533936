"""Adds layers step by step: napari needs 0.1 s for one of labels, however small it is.

The time goes into the objects that draw it, those of its brush and polygon among them, and into
its first picture. They are made one after the other, with a turn of the event loop between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QTimer

_PAUSE_MS = 10
"""Between two of them; without a pause, Qt does them all at one turn."""
_TOOLS = ("polygon", "brush_stroke")
"""Names of what draws a brush and a polygon; napari makes it when it is first visible."""


def insert(
    viewer: ViewerModel,
    layer: Layer,
    place: int | None = None,
    then: Callable[[], None] | None = None,
) -> None:
    """Insert a layer and show it; where there is a window, it is seen a moment later.

    Parameters
    ----------
    viewer
        Where to insert it.
    layer
        Made with ``visible=False``, so that napari does not work out twice what is seen of it. One
        that is not editable gets no tools to paint with.
    place
        Number of layers below it; all by default.
    then
        What to do as soon as it is seen.
    """
    place = len(viewer.layers) if place is None else place
    later: list[Callable[[], None]] = [partial(setattr, layer, "visible", True)]
    if getattr(viewer, "window", None) is None:
        later[0]()
        viewer.layers.insert(place, layer)
        if then is not None:
            then()
        return
    if then is not None:
        later.append(then)
    for tool in _tools(layer):
        tool.visible = False
        if layer.editable:
            later.append(partial(setattr, tool, "visible", True))
    viewer.layers.insert(place, layer)
    _go_on(viewer, layer, later)


def _go_on(viewer: ViewerModel, layer: Layer, later: Sequence[Callable[[], None]]) -> None:
    """Do one thing at each turn of the event loop, as long as the layer is there."""

    def step() -> None:
        if layer in viewer.layers:
            later[0]()
            _go_on(viewer, layer, later[1:])

    if later:
        QTimer.singleShot(_PAUSE_MS, step)


def _tools(layer: Layer) -> list[Any]:
    overlays = getattr(layer, "_overlays", {})
    return [overlays[name] for name in _TOOLS if name in overlays]
