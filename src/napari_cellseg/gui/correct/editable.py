"""Labels layers whose numbers can be changed in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer

from napari_cellseg.core.errors import EditError
from napari_cellseg.session.corrections.numbering import HIGHEST_ID


def make_editable(layer: LabelsLayer) -> None:
    """Give the layer int32 data in memory.

    Raises
    ------
    EditError
        If its numbers are none of objects, or it is a pyramid.
    """
    if layer.multiscale:
        raise EditError(
            "A pyramid of labels cannot be corrected: crop a part of it into a layer of its own."
        )
    data = layer.data
    if _is_own(data):
        if int(data.min(initial=0)) < 0:
            raise EditError(
                "The layer holds negative numbers, and objects have numbers from 1 on: make a copy "
                "of it in which they are 0, and correct that."
            )
        return
    numbers = np.asarray(data)
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    if low < 0 or high > HIGHEST_ID:
        raise EditError(
            f"The layer holds the number {low if low < 0 else high}, and objects have numbers from "
            f"1 to {HIGHEST_ID}: number them anew, for example with skimage.measure.label, and "
            "correct that layer."
        )
    layer.data = np.array(numbers, dtype=np.int32, order="C")


def _is_own(data: Any) -> bool:
    """Tell whether data are int32 in memory: what is written to a mapped file changes the file."""
    base = data
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return False
        base = base.base
    return isinstance(data, np.ndarray) and data.dtype == np.int32 and data.flags.writeable
