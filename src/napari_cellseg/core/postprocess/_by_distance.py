"""Splits the foreground at its waists: flooding of the distance to the outline, level by level."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._kernels.bits import pack_above, shrink_once, unpack
from napari_cellseg.core.postprocess._objects import add_components, add_objects, start_labels
from napari_cellseg.core.postprocess.state import State, Words

_DEEPEST = 255
_LARGE = 4 * 1024 * 1024  # pixels


def split_by_distance(state: State, strength: float) -> State:
    """Give every part that is wide enough beside its waist an object of its own.

    A hill of the distance map with its peak at p becomes a seed if the flood, coming down from
    above, meets no higher hill until it has sunk to ``strength * p``. Seeds then flood their level
    before the next lower one, so that cells of unequal size are cut at the waist and not half
    way between their centres. Foreground without a seed becomes an object of its own.
    """
    levels, depth = _levels(state)
    done = np.zeros_like(state.mask)
    state = start_labels(state)
    for height in range(int(depth.max(initial=0)), 0, -1):
        flooded = levels[height - 1] if levels else pack_above(depth, height - 1)
        if len(state.areas) > 1:
            free = flooded & ~done
            state.kernels.spread(state.labels, free, done, state.areas, 0, False)
        lowest_peak = least_peak(height, strength)
        if lowest_peak is None:
            continue
        rest = flooded & ~done
        if rest.any():
            runs = state.kernels.components(rest, state.width, True)
            seeds = state.kernels.peaks(depth, runs) >= lowest_peak
            state = add_objects(state, runs, seeds, done)
    state = add_components(state, state.mask & ~done, done)
    return replace(state, order=_raster_order(state))


def least_peak(height: int, strength: float) -> int | None:
    """Return how high a hill must be to count as one of its own above a waist just below `height`.

    The waist is at most `strength` of the hill, and two steps lower than it: one step is what
    the pixel grid does to any outline. None means that no hill does.
    """
    if strength <= 0:
        return None
    if strength >= 1:
        return height
    return max(height + 1, math.ceil((height - 1) / strength - 1e-9))


def _levels(state: State) -> tuple[list[Words], npt.NDArray[np.uint8]]:
    """Return the masks of what is deeper than 0, 1, ..., and the distance; find them only once.

    Of a large picture the masks are not kept: they could take more memory than all else.
    """
    if "distance" not in state.derived:
        keep = state.mask.size * 64 <= _LARGE
        state.derived["distance"] = distance(state.mask, state.width, keep=keep)
    return state.derived["distance"]


def distance(
    mask: Words, width: int, *, keep: bool = False
) -> tuple[list[Words], npt.NDArray[np.uint8]]:
    """Return the distance of each foreground pixel to the outline, in octagon steps, up to 255.

    The border of the picture is no outline: a cell cut by it keeps its depth. With `keep` the
    masks of what is deeper than 0, 1, ... come first, else an empty list.
    """
    depth = np.zeros((len(mask), width), np.uint8)
    masks: list[Words] = []
    square = False
    for _ in range(_DEEPEST):
        if not mask.any():
            break
        if keep:
            masks.append(mask)
        depth += unpack(mask, width)
        mask = shrink_once(mask, width, square=square)
        square = not square
    return masks, depth


def _raster_order(state: State) -> npt.NDArray[np.int64]:
    inner = state.labels[1:-1, 1:-1]
    turns = np.flatnonzero(inner != state.labels[1:-1, :-2])  # first pixels are among them
    first = np.zeros(len(state.areas), np.int64)
    first[inner[np.divmod(turns, state.width)][::-1]] = turns[::-1]
    return np.argsort(first[1:], kind="stable") + 1
