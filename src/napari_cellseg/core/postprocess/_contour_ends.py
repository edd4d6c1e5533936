"""Joins pieces of contour that point at each other across a clump of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._kernels import Runs
from napari_cellseg.core.postprocess._objects import cut_off
from napari_cellseg.core.postprocess.state import State, Words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LONGEST = 2  # times the reach: longer pieces are whole outlines rather than the ends of one
_LEAST = 4  # pixels; what is smaller is noise rather than the end of a border
_ALONG = 0.8  # cosine of the angle between a piece and the line that goes on from it, at least
_ROUND = 1.3  # a piece less stretched than this points nowhere in particular, so it may join any
_INSIDE = 0.8  # share of the line that lies in the foreground, at least
_FARTHER = 3  # times the length of both pieces together that a line may have, at most


@dataclass(frozen=True, eq=False)
class _Ends:
    """The two ends of each piece of contour.

    Attributes
    ----------
    at
        Where each end lies, float (2 N, 2): y, x. Ends k and N + k belong to one piece.
    outward
        Unit vector along the piece, away from its middle, (2 N, 2).
    length
        Of the piece, (2 N,), in pixels.
    any_way
        Whether the piece is too round to have a direction, (2 N,).
    """

    at: Floats
    outward: Floats
    length: Floats
    any_way: Flags


def join_contour_ends(state: State, contour: Words, reach: int) -> Words:
    """Return `contour` with straight lines between facing ends of its pieces.

    Where two cells overlap, a network often sees their border at both rims and not in between. Two
    ends are joined if they are at most `reach` pixels apart, each lies in the direction of the
    other's piece, the line runs through foreground, and it is not much longer than what is seen.
    Pieces longer than twice the reach take no part, nor those that a margin of the part cuts off,
    so that a part shows what the whole shows.
    """
    runs = state.kernels.components(contour, state.width, True)
    ends = _find_ends(runs, (runs.areas() >= _LEAST) & ~cut_off(state, runs))
    pairs = _facing(ends, reach)
    y, x, line = _pixels_between(ends.at[pairs[:, 0]], ends.at[pairs[:, 1]], reach)
    height, width = state.crop.size  # an end on the border may lie half a pixel beyond it
    y, x = y.clip(0, height - 1), x.clip(0, width - 1)
    seen = _bits_at(state.mask, y, x).astype(np.float64)
    count = np.bincount(line, minlength=len(pairs))
    inside = np.bincount(line, seen, len(pairs)) >= _INSIDE * count
    drawn = inside[line]
    joined = contour.copy()
    for down, right in ((0, 0), (1, 0), (0, 1)):  # no way through at a corner of two pixels
        _set_bits(joined, y[drawn] + down, x[drawn] + right, state.crop.size)
    return joined


def _find_ends(runs: Runs, chosen: Flags) -> _Ends:
    """Find the ends of the chosen components along their main axes."""
    number = np.cumsum(chosen) - 1
    n = int(number[-1]) + 1
    which = chosen[runs.component]
    part = number[runs.component[which]]
    row, start, stop = (
        side[which].astype(np.float64) for side in (runs.row, runs.start, runs.stop)
    )
    many, middle = stop - start, (start + stop - 1) / 2
    area = np.bincount(part, many, n)
    y, x = np.bincount(part, many * row, n) / area, np.bincount(part, many * middle, n) / area
    # Second moments about the middle; a run of m pixels has (m^2 - 1) / 12 about its own, and a
    # pixel 1 / 12.
    dy, dx = row - y[part], middle - x[part]
    yy = np.bincount(part, many * dy * dy, n) / area + 1 / 12
    xx = np.bincount(part, many * (dx * dx + (many * many - 1) / 12), n) / area + 1 / 12
    xy = np.bincount(part, many * dy * dx, n) / area
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    axis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    narrow = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    width = np.sqrt(12 * np.maximum(narrow, 1 / 12))
    along = dy * axis[part, 0] + dx * axis[part, 1]
    half = np.abs(axis[part, 1]) * (many - 1) / 2  # from the middle of a run to its ends
    farthest, nearest = np.zeros(n), np.zeros(n)
    np.maximum.at(farthest, part, along + half)
    np.minimum.at(nearest, part, along - half)
    length = farthest - nearest + 1
    centre = np.stack([y, x], axis=1)
    return _Ends(
        np.concatenate([centre + axis * farthest[:, None], centre + axis * nearest[:, None]]),
        np.concatenate([axis, -axis]),
        np.tile(length, 2),
        np.tile(length < _ROUND * width, 2),
    )


def _facing(ends: _Ends, reach: int) -> Ints:
    """Return the pairs of ends, (M, 2), that a line should join."""
    from scipy.spatial import cKDTree

    if len(ends.at) < 4:
        return np.zeros((0, 2), np.int64)
    pairs = cKDTree(ends.at).query_pairs(reach, output_type="ndarray").astype(np.int64)
    pieces = len(ends.at) // 2
    pairs = pairs[pairs[:, 0] % pieces != pairs[:, 1] % pieces]
    pairs = pairs[(ends.length[pairs] <= LONGEST * reach).all(axis=1)]
    first, second = pairs.T
    step = ends.at[second] - ends.at[first]
    far = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
    step /= far[:, None]
    right = far <= _FARTHER * ends.length[pairs].sum(axis=1)
    right &= ends.any_way[first] | ((ends.outward[first] * step).sum(axis=1) >= _ALONG)
    right &= ends.any_way[second] | ((ends.outward[second] * -step).sum(axis=1) >= _ALONG)
    facing: Ints = pairs[right]
    return facing


def _pixels_between(begin: Floats, end: Floats, reach: int) -> tuple[Ints, Ints, Ints]:
    """Return row, column and line number of the pixels of straight lines, both ends included."""
    steps = reach + 2  # enough for neighbouring pixels, as no line is longer than the reach
    share = np.linspace(0, 1, steps)[None, :, None]
    points = begin[:, None] + (end - begin)[:, None] * share
    y, x = np.floor(points + 0.5).astype(np.int64).reshape(-1, 2).T
    return y, x, np.repeat(np.arange(len(begin)), steps)


def _bits_at(words: Words, y: Ints, x: Ints) -> npt.NDArray[np.uint64]:
    bits: npt.NDArray[np.uint64] = (words[y, x // 64] >> (x % 64).astype(np.uint64)) & np.uint64(1)
    return bits


def _set_bits(words: Words, y: Ints, x: Ints, size: tuple[int, int]) -> None:
    here = (y < size[0]) & (x < size[1])
    y, x = y[here], x[here]
    np.bitwise_or.at(words, (y, x // 64), np.uint64(1) << (x % 64).astype(np.uint64))
