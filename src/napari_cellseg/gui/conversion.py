"""Layers to images and labels, and labels to the shape of a layer; nothing is edited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from napari.layers import Image as ImageLayer

from napari_cellseg.core.arrays import AxesGuess, Image, Labels, guess_axes
from napari_cellseg.core.errors import ImageError
from napari_cellseg.gui.geometry import Box, result_shape_and_order

METADATA_KEY = "napari-cellseg"
CORRECTIONS_KEY = "corrections"
"""Under which the metadata of a layer hold what a person decided."""
HISTORY_KEY = "history"
"""Under which they hold what was done before the labels were saved."""
N = TypeVar("N", bound=np.integer[Any])


def full_data(layer: Any) -> Any:
    """Return the pixels of `layer` at full resolution, without loading them."""
    return layer.data[0] if layer.multiscale else layer.data


def guess_layer_axes(layer: ImageLayer) -> AxesGuess:
    """Return what the axes of `layer` most likely are.

    Where the layer does not name them, its file is asked: napari's own reader drops the names.

    Raises
    ------
    ImageError
        If no reading is possible.
    """
    shape = tuple(full_data(layer).shape)
    guess = guess_axes(shape, rgb=layer.rgb, names=layer.axis_labels)
    path = layer.source.path
    if not guess.ambiguous or not path or Path(path).suffix.lower() not in {".tif", ".tiff"}:
        return guess
    from napari_cellseg.core.reading.tiff import tiff_axes

    named = tiff_axes(Path(path), shape)
    if named is None:
        return guess
    return guess_axes(shape, rgb=layer.rgb, names=named.removesuffix("S") if layer.rgb else named)


def _micrometres(scale: float, unit: Any) -> float | None:
    """Return a step of `scale` units in µm, None if the unit is no length (a pixel, a second)."""
    import pint

    registry: Any = pint.application_registry
    try:
        factor = float(registry.Quantity(1, str(unit)).to("um").magnitude)
    except (pint.errors.DimensionalityError, pint.errors.UndefinedUnitError):
        return None
    return abs(float(scale)) * factor or None


def to_image(layer: ImageLayer, axes: str, box: Box | None = None) -> Image:
    """Return the part `box` of `layer` as an image; nothing is loaded from disk.

    Raises
    ------
    ImageError
        If the axes do not fit or the pixels cannot be used.
    """
    data = full_data(layer)
    if layer.rgb and data.shape[-1] == 4:
        data = data[..., :3]
    if box is not None:
        data = data[tuple(box.get(axis, slice(None)) for axis in axes)]
    steps = map(_micrometres, layer.scale, layer.units)
    sizes = dict(zip(axes, steps, strict=False))  # colour samples have no step
    y, x = sizes.get("Y"), sizes.get("X")
    names = () if layer.rgb else layer.metadata.get("channel_names", ())
    channels = data.shape[axes.index("C")] if "C" in axes else 1
    return Image(
        data,
        axes,
        pixel_size=(y, x) if y and x else None,
        z_step=sizes.get("Z"),
        channel_names=tuple(map(str, names)) if len(names) == channels else (),
        rgb=bool(layer.rgb),
        name=layer.name,
        source=Path(layer.source.path) if layer.source.path else None,
    )


def in_layer_order(labels: npt.NDArray[N], axes: str) -> npt.NDArray[N]:
    """Return a view of (T, Z, Y, X) labels with the dimensions of a layer that has `axes`."""
    order, channel = result_shape_and_order(axes)
    turned = labels.transpose(order)
    return turned if channel is None else np.expand_dims(turned, channel)


def in_label_order(data: npt.NDArray[N], axes: str) -> npt.NDArray[N]:
    """Undo `in_layer_order`; a view again."""
    order, channel = result_shape_and_order(axes)
    flat = data if channel is None else np.squeeze(data, channel)
    return flat.transpose(np.argsort(order))


def guess_label_axes(layer: Any) -> str:
    """Return what the axes of a Labels layer are, or most likely are."""
    metadata = layer.metadata.get(METADATA_KEY, {})
    return _label_axes(layer.data.shape, metadata, layer.axis_labels)


def _label_axes(shape: tuple[int, ...], metadata: Mapping[str, Any], names: Any) -> str:
    axes = str(metadata.get("axes") or "")
    if len(axes) == len(shape):
        return axes
    axes = guess_axes(shape, names=names).axes
    # Labels have no channels; in a stack of stacks, time comes first.
    return "TZYX" if "C" in axes and len(axes) == 4 else axes.replace("C", "Z")


def to_labels(data: Any, attributes: Mapping[str, Any]) -> Labels:
    """Return the data and attributes of a Labels layer as labels in the order T, Z, Y, X.

    Raises
    ------
    ImageError
        If the layer has dimensions that labels cannot have, or is not made of object numbers.
    """
    numbers = np.asarray(data[0] if attributes.get("multiscale") else data)
    metadata = dict(attributes.get("metadata", {}).get(METADATA_KEY, {}))
    layer_axes = _label_axes(numbers.shape, metadata, attributes.get("axis_labels"))
    if numbers.dtype.kind not in "bui" or int(numbers.max(initial=0)) > np.iinfo(np.int32).max:
        raise ImageError("The layer does not hold object numbers: choose a Labels layer.")
    numbers = in_label_order(numbers, layer_axes)
    axes = "".join(axis for axis in "TZYX" if axis in layer_axes)
    steps = map(_micrometres, attributes.get("scale", ()), attributes.get("units", ()))
    sizes = dict(zip(layer_axes, steps, strict=False))
    y, x = sizes.get("Y"), sizes.get("X")
    return Labels(
        numbers.astype(np.int32),
        axes,
        pixel_size=(y, x) if y and x else None,
        z_step=sizes.get("Z"),
        name=str(attributes.get("name", "labels")),
        provenance=metadata,
    )
