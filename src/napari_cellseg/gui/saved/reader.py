"""Saved work as layers: the image, if it is found, and the labels with all that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from napari.utils.colormaps import AVAILABLE_COLORMAPS
from napari.utils.notifications import show_warning

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.saved.image import find_image
from napari_cellseg.core.saved.opening import read_work
from napari_cellseg.core.saved.work import SavedWork
from napari_cellseg.gui import conversion
from napari_cellseg.gui.saved.opened import (
    BELONGS_KEY,
    IMAGE_FILE_KEY,
    WORK_FILE_KEY,
    WORK_KEY,
    Belongs,
)

LayerData = tuple[Any, dict[str, Any], str]
Ask = Callable[[str, Path], Path | None]
"""Takes why the image was not found and a folder to begin in; gives a path, None to go without."""


def read_layers(path: Path, ask: Ask | None = None) -> list[LayerData]:
    """Return the layers of saved work.

    Parameters
    ----------
    path
        The file.
    ask
        Asks a person where the image is now; None goes without it, with a warning.

    Raises
    ------
    DataError
        If the file cannot be opened.
    """
    work = read_work(path)
    image = work.pixels if work.pixels is not None else _found(work, path, ask)
    layers: list[LayerData] = []
    view = work.view.get("image", {})
    belongs: dict[str, Any] = {}
    if work.image is not None:
        belongs[BELONGS_KEY] = Belongs(work.image, work.box, work.labels.data.shape, view)
    if image is not None:
        metadata = dict(belongs)
        if image.source is not None:  # napari notes the saved work as the source of all layers
            metadata[IMAGE_FILE_KEY] = str(image.source)
        name, ndim = str(view.get("name", image.name)), _dimensions(image)
        options = {"name": name, "rgb": image.rgb, "metadata": metadata}
        layers.append((image.data, options | _shown(view, ndim, "image"), "image"))
    layers.append(_labels(work, {**belongs, WORK_FILE_KEY: str(path.absolute())}))
    return layers


def _found(work: SavedWork, path: Path, ask: Ask | None) -> Image | None:
    candidate: Path | None = None
    while work.image is not None:
        try:
            return find_image(work.image, path, candidate)
        except ImageError as error:
            if ask is None:
                show_warning(f"{error} The labels are opened without it.")
                return None
            candidate = ask(str(error), path.parent)
            if candidate is None:  # who has chosen so need not be told
                return None
    return None


def _labels(work: SavedWork, metadata: Mapping[str, Any]) -> LayerData:
    labels = work.labels
    view = work.view.get("labels", {})
    axes = str(labels.provenance.get("axes") or labels.axes)
    if "".join(sorted(axes.replace("C", ""))) != "".join(sorted(labels.axes)):
        axes = labels.axes
    data = np.array(conversion.in_layer_order(labels.data, axes))
    told = {**labels.provenance, "axes": axes, conversion.HISTORY_KEY: list(work.history)}
    options = {
        "name": str(view.get("name", labels.name)),
        "metadata": {conversion.METADATA_KEY: told, WORK_KEY: work, **metadata},
        **_shown(view, data.ndim, "labels"),
    }
    return data, options, "labels"


def _dimensions(image: Image) -> int:
    return len(image.shape) - (1 if image.rgb else 0)


def _shown(view: Mapping[str, Any], ndim: int, kind: str) -> dict[str, Any]:
    """Return how a layer was shown; nothing, with a warning, if napari could not show it so.

    It is tried here: of layers that are refused one after the other, some would be open by then.
    """
    try:
        options = _place(view, ndim) | (_looks(view) if kind == "image" else {})
        Layer.create(np.zeros((1,) * ndim, np.uint8), options, kind)
    except (TypeError, ValueError, KeyError, AttributeError):
        what = "image was" if kind == "image" else "labels were"
        show_warning(f"How the {what} shown is damaged in the saved work: set it again by hand.")
        return {}
    return options


def _place(view: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """Return where a layer lies; nothing if it had other dimensions when it was saved."""
    if len(view.get("scale", ())) != ndim:
        return {}
    names = ("scale", "translate", "rotate", "shear", "affine", "opacity", "visible")
    place = {name: view[name] for name in names if name in view}
    if "affine" in place:
        place["affine"] = np.asarray(place["affine"], float)
    if "rotate" in place:
        place["rotate"] = np.asarray(place["rotate"], float)
    return place | {name: tuple(view[name]) for name in ("units", "axis_labels") if name in view}


def _looks(view: Mapping[str, Any]) -> dict[str, Any]:
    looks = {name: view[name] for name in ("contrast_limits", "gamma", "blending") if name in view}
    if view.get("colormap") in AVAILABLE_COLORMAPS:
        looks["colormap"] = view["colormap"]
    return looks
