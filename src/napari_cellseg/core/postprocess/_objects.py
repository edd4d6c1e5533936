"""Begins, fills and finishes a label image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._kernels import Runs
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.postprocess.state import Labels, State, Words


def start_labels(state: State) -> State:
    """Return the state with a label image without objects."""
    height, width = state.crop.size
    return replace(
        state,
        labels=np.zeros((height + 2, width + 2), np.int32),
        areas=np.zeros(1, np.int64),
        order=np.zeros(0, np.int64),
    )


def add_objects(state: State, runs: Runs, chosen: npt.NDArray[np.bool_], done: Words) -> State:
    """Paint the chosen components as new objects, numbered on in raster order.

    Writes to the labels of `state`, which must not be shared yet, and sets the bits in `done`.
    `chosen` says it of each component, (count + 1,), entry 0 unused.
    """
    chosen = chosen.copy()
    chosen[0] = False
    known = len(state.areas) - 1
    values = np.where(chosen, np.cumsum(chosen) + known, 0).astype(np.int32)
    state.kernels.paint(state.labels, done, runs, values)
    areas = np.concatenate([state.areas, runs.areas()[chosen]])
    return replace(state, areas=areas, order=np.arange(1, len(areas)))


def add_components(state: State, mask: Words, done: Words | None = None) -> State:
    """Make each 8-connected component of `mask` a new object."""
    runs = state.kernels.components(mask, state.width, True)
    done = np.zeros_like(mask) if done is None else done
    return add_objects(state, runs, np.ones(runs.count + 1, bool), done)


def cut_off(state: State, runs: Runs) -> npt.NDArray[np.bool_]:
    """Say of each component, (count + 1,), whether a margin of the part cuts it off."""
    height, width = state.crop.size
    top, bottom, left, right = state.crop.cut_sides()
    cut = np.zeros(runs.count + 1, bool)
    for wanted, on_side in (
        (top, runs.row == 0),
        (bottom, runs.row == height - 1),
        (left, runs.start == 0),
        (right, runs.stop == width),
    ):
        if wanted:
            cut[runs.component[on_side]] = True
    return cut


def renumber(
    state: State, dropped: Mapping[str, npt.NDArray[np.int64]]
) -> tuple[Labels, dict[str, Removed]]:
    """Return labels (Y, X) without the dropped objects, numbered 1..n in order, and the dropped.

    `dropped` has disjoint object numbers by rule.
    """
    table = np.zeros(len(state.areas), np.int32)
    gone = np.concatenate([np.zeros(0, np.int64), *dropped.values()])
    kept = state.order[~np.isin(state.order, gone)]
    table[kept] = np.arange(1, len(kept) + 1)
    table[gone] = -np.arange(1, len(gone) + 1)
    ends = np.cumsum(np.concatenate([[0], state.areas[gone]]))
    pixels = np.empty(ends[-1], np.int64)
    out = np.empty(state.crop.size, np.int32)
    starts = np.concatenate([[0], ends[:-1]]) if len(gone) else ends
    state.kernels.finish(state.labels, table, starts, out, pixels)
    removed, first = {}, 0
    for rule, numbers in dropped.items():
        bounds = ends[first : first + len(numbers) + 1]
        mine = state.crop.position(*np.divmod(pixels[bounds[0] : bounds[-1]], state.width))
        removed[rule] = Removed(rule, state.crop.shape, mine, bounds - bounds[0])
        first += len(numbers)
    return out, removed
