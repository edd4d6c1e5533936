"""The classes of objects in a Labels layer: its features table and its colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_cellseg.core.classify import ObjectClasses

# Okabe & Ito (2008), which people with any colour vision tell apart; then from the start again.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
UNKNOWN = "#999999"
"""Colour of an object without a class, such as one that was just painted."""


def show_features(layer: LabelsLayer, found: ObjectClasses) -> None:
    """Put label, class and margin of each object into the features table."""
    layer.features = {"index": found.ids, "class": found.names(), "margin": found.margin}


def colour_each(layer: LabelsLayer) -> None:
    """Give each object a colour of its own again."""
    layer.colormap = label_colormap()


def colour(layer: LabelsLayer, found: ObjectClasses) -> None:
    """Give the objects the colours of their classes."""
    colours = np.array([_rgba(name) for name in PALETTE], np.float32)
    chosen = colours[found.index % len(PALETTE)]
    known: dict[Any, Any] = dict(zip(found.ids.tolist(), chosen, strict=True))
    layer.colormap = DirectLabelColormap(
        color_dict={**known, None: _rgba(UNKNOWN), 0: np.zeros(4, np.float32)}
    )


def legend(types: tuple[str, ...]) -> str:
    """Return the classes with their colours as rich text."""
    return " ".join(
        f'<span style="color:{PALETTE[k % len(PALETTE)]}">\u25a0</span> {_escape(name)}'
        for k, name in enumerate(types)
    )


def _escape(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;")


def _rgba(colour: str) -> Any:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return np.array([*parts, 1], np.float32)
