"""Splits the foreground along predicted contours: Algorithm 1 of HARU-Net (Chen et al.)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._contour_ends import join_contour_ends
from napari_cellseg.core.postprocess._kernels import Runs
from napari_cellseg.core.postprocess._kernels.bits import dilate, pack_above
from napari_cellseg.core.postprocess._objects import (
    add_components,
    add_objects,
    cut_off,
    start_labels,
)
from napari_cellseg.core.postprocess.state import State, Words

LEAST_SHARE = 0.15
"""Of a seed's pixels, that a piece of it must have to count as a cell. Chosen on training images of
DSB2018 and BBBC039, where it raised AP@0.5 in each group (0.25 cost 0.017 on stained tissue)."""


def split_by_contour(
    state: State, contour_level: int, min_seed_area: int, gap: int = 0, ends: int = 0
) -> State:
    """Make every component of foreground without contour a seed; let seeds fill the foreground.

    The paper's loop lets label after label take the free foreground pixels beside it. Within one
    pass of that loop a label grows by one ring, and a pixel wanted by two goes to the lower. So
    the loop equals synchronous rounds in which a free pixel takes the lowest label among its 8
    neighbours, which is what is computed here, exactly.

    The paper's loop never ends where a piece of foreground holds no seed; such a piece becomes an
    object of its own. Seeds under `min_seed_area` pixels are dropped (the paper: 0); those that
    a margin of the part cuts off stay, because their area is not known. With `gap`, a seed that
    falls apart once the contours are that many pixels thicker counts as several (the paper: 0).
    With `ends`, pieces of contour that point at each other from so many pixels away are joined
    first (the paper: 0).
    """
    contour = pack_above(state.maps["contour"], contour_level)
    if ends:
        contour = join_contour_ends(state, contour, ends)
    runs = state.kernels.components(state.mask & ~contour, state.width, True)
    kept = runs.areas() >= min_seed_area
    kept |= cut_off(state, runs)
    done = np.zeros_like(state.mask)
    state = start_labels(state)
    if gap:
        pieces, chosen, cut = _cut_across_gaps(state, contour, runs, min_seed_area, gap)
        state = add_objects(state, runs, kept & ~cut, done)
        state = add_objects(state, pieces, chosen, done)
    else:
        state = add_objects(state, runs, kept, done)
    free = state.mask & ~done
    state.kernels.spread(state.labels, free, done, state.areas, 0, False)
    seeds = len(state.areas) - 1
    state = add_components(state, state.mask & ~done, done)
    return _note_dropped(state, runs, kept, seeds)


def _cut_across_gaps(
    state: State, contour: Words, runs: Runs, min_seed_area: int, gap: int
) -> tuple[Runs, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Find seeds that thicker contours cut; return the pieces, which count, and which seeds.

    A network often sees a contour between two cells only in part. Thicker by `gap`, the parts meet.
    A piece counts from `min_seed_area` and from a share of its seed on: a lobe is no cell.
    """
    thick = dilate(contour, state.width, gap)
    pieces = state.kernels.components(state.mask & ~thick, state.width, True)
    # Each piece lies within one seed: in the run that begins last before it in raster order.
    begins = runs.row.astype(np.int64) * state.width + runs.start
    first = pieces.first()[1:]
    at = pieces.row[first].astype(np.int64) * state.width + pieces.start[first]
    seed = np.zeros(pieces.count + 1, np.int64)
    seed[1:] = runs.component[np.searchsorted(begins, at, side="right") - 1]
    least = np.maximum(min_seed_area, LEAST_SHARE * runs.areas()[seed])
    large = pieces.areas() >= least
    large[0] = False
    cut = np.bincount(seed[large], minlength=runs.count + 1) > 1
    return pieces, large & cut[seed], cut


def _note_dropped(state: State, runs: Runs, kept: npt.NDArray[np.bool_], seeds: int) -> State:
    """Report dropped seeds, less one for each object that came up without a seed from them."""
    dropped = ~kept
    dropped[0] = False
    numbers = np.flatnonzero(dropped)
    if len(numbers):
        at = runs.first()[numbers]
        owner = state.labels[runs.row[at] + 1, runs.start[at] + 1]
        orphans, survivor = np.unique(owner, return_index=True)
        dropped[numbers[survivor[orphans > seeds]]] = False
    return state.with_removed("min_seed_area", runs, dropped)
