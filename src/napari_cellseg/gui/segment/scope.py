"""From what the user chose in the tab to a request for a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_cellseg.core.errors import ImageError
from napari_cellseg.gui import drawing, geometry
from napari_cellseg.session.settings import Scope


@dataclass(frozen=True, eq=False)
class Part:
    """Part of an image, with the mask (Y, X) of a drawn region where it is not just a box."""

    box: geometry.Box
    mask: npt.NDArray[np.bool_] | None = None


def chosen_part(viewer: ViewerModel, layer: ImageLayer, axes: str, scope: Scope) -> Part:
    """Return the part of `layer` that `scope` stands for now.

    Raises
    ------
    ImageError
        If a drawn region is wanted and none lies on the image.
    """
    point = viewer.dims.point
    if scope == "slice":
        return Part(geometry.slice_box(layer, axes, point))
    if scope == "view":
        return Part(geometry.view_box(layer, axes, point))
    if scope == "region":
        shapes = drawing.region_layer(viewer)
        found = None if shapes is None else geometry.region(shapes, layer, axes, point)
        if found is None:
            raise ImageError("No region is drawn on the image: press 'Draw…' and draw one.")
        return Part(*found)
    return Part(geometry.full_box(layer, axes))


def describe_part(layer: ImageLayer, axes: str, part: Part) -> str:
    """Return which rows, columns and planes a part is, "" for the whole image."""
    whole = geometry.full_box(layer, axes)
    names = {"T": "time points", "Z": "slices", "Y": "rows", "X": "columns"}
    return ", ".join(
        f"{names[axis]} {piece.start} to {piece.stop - 1}"
        for axis, piece in part.box.items()
        if piece != whole[axis]
    )
