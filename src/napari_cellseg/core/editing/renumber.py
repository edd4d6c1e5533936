"""Number objects anew, 1 to n in reading order; done only when somebody asks for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Int32Array
from napari_cellseg.core.editing.objects import runs


def renumber(labels: npt.NDArray[Any]) -> tuple[Int32Array, dict[int, int]]:
    """Return labels with the ids 1 to n, and which old id became which new one.

    Parameters
    ----------
    labels
        (Y, X), or any stack of planes (..., Y, X): an object keeps one id through all of them.
        The order is that in which objects are met slice by slice, row by row, from the left.

    Returns
    -------
    labels, new_ids
        int32 of the same shape, and the new id of every old one, in their new order.
    """
    starts, stops, ids = runs(labels)
    old, first, owner = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    new = np.empty(len(old), np.int32)
    new[order] = np.arange(1, len(old) + 1)
    out = np.zeros(labels.size, np.int32)
    inside = np.zeros(labels.size + 1, np.int8)
    inside[starts] += 1
    inside[stops] -= 1
    out[np.cumsum(inside[:-1], dtype=np.int8).astype(bool)] = np.repeat(new[owner], stops - starts)
    return out.reshape(labels.shape), dict(
        zip(old[order].tolist(), new[order].tolist(), strict=True)
    )
