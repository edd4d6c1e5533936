"""Loads what the tools need from slow libraries before the first click needs it."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.editing.grow import grow_at
from napari_cellseg.core.editing.merge import merge
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.editing.part import part_at
from napari_cellseg.core.editing.shape import smooth
from napari_cellseg.core.editing.split import split_along, split_into


def load_slow_parts() -> None:
    """Use each tool once on a small plane: libraries are loaded at their first use."""
    y, x = np.mgrid[:40, :60]
    plane = (np.hypot(y - 20, x - 15) < 12).astype(np.int32)
    plane[np.hypot(y - 20, x - 42) < 12] = 2
    objects = ObjectIndex(plane)
    merge(plane, objects, [1, 2], bridge=8)
    smooth(plane, objects, 1)
    split_along(plane, objects, [(20, 0), (20, 30)], lambda: 3)
    split_into(plane, objects, 1, 2, lambda: 3)
    bright = np.exp(-(((y - 20) / 5) ** 2 + ((x - 15) / 5) ** 2)).astype(np.float32)
    empty = np.zeros_like(plane)
    both = np.ones_like(plane)
    part_at(both, ObjectIndex(both), np.roll(bright, 25, 1) + bright, (20, 15), lambda: 3)
    grow_at(empty, ObjectIndex(empty), bright, (20, 15), 1)
