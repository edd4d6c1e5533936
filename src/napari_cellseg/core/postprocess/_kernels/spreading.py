"""Objects grow into free pixels in synchronous rounds, compiled by numba.

A round only visits words of 64 pixels beside which something changed in the round before, so the
cost follows the pixels that are won and not the number of rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_cellseg.core.postprocess._kernels import Counts, Labels, Words
from napari_cellseg.core.postprocess._kernels._jit import LAST, ONE, ZERO, compiled, lowest_bit

LOW = np.int64(0xFFFFFFFF)


@compiled
def _reached(free: Any, done: Any, y: int, k: int, cross: bool) -> tuple[Any, Any]:
    """Bits of word (y, k) that are free and beside a done pixel: by this round's step, by 8."""
    height, across = free.shape
    here, left, right = done[y, k], np.uint64(0), np.uint64(0)
    tall = here
    if k > 0:
        left = done[y, k - 1]
    if k < across - 1:
        right = done[y, k + 1]
    tall_left, tall_right = left, right
    for other in (y - 1, y + 1):
        if 0 <= other < height:
            tall |= done[other, k]
            if k > 0:
                tall_left |= done[other, k - 1]
            if k < across - 1:
                tall_right |= done[other, k + 1]
    square = tall | (tall << ONE) | (tall >> ONE) | (tall_left >> LAST) | (tall_right << LAST)
    if cross:
        four = tall | (here << ONE) | (here >> ONE) | (left >> LAST) | (right << LAST)
        return four & free[y, k], square & free[y, k]
    return square & free[y, k], square & free[y, k]


@compiled
def _lowest_neighbour(flat: Any, at: Any, step: Any, cross: bool) -> Any:
    """Lowest positive label beside a pixel, less one; background, 0, wraps to the greatest."""
    up, down = at - step, at + step
    best = min(flat[at - ONE] - ONE, flat[at + ONE] - ONE)
    best = min(best, min(flat[up] - ONE, flat[down] - ONE))
    if not cross:
        best = min(best, min(flat[up - ONE] - ONE, flat[up + ONE] - ONE))
        best = min(best, min(flat[down - ONE] - ONE, flat[down + ONE] - ONE))
    return best


@compiled
def _claim(flat: Any, stride: int, y: int, k: int, new: Any, cross: bool, areas: Any) -> None:
    """Give the new pixels of a word labels, negative ones, which no neighbour sees this round."""
    at, step = np.uint64((y + 1) * stride + 64 * k + 1), np.uint64(stride)
    while new != 0:
        pixel = at + lowest_bit(new)
        new &= new - ONE
        label = _lowest_neighbour(flat, pixel, step, cross) + ONE
        flat[pixel] = np.uint32(ZERO - label)
        areas[label] += 1


@compiled
def _settle(flat: Any, stride: int, y: int, k: int, new: Any) -> None:
    """Make the labels of the new pixels of a word positive."""
    at = np.uint64((y + 1) * stride + 64 * k + 1)
    while new != 0:
        pixel = at + lowest_bit(new)
        new &= new - ONE
        flat[pixel] = np.uint32(ZERO - np.uint64(flat[pixel]))


@compiled
def _waiting(queue: Any, n: int, free: Any, stamp: Any, turn: int, waiting: Any) -> int:
    """List the words with free pixels at or beside the first n of the queue, each once."""
    height, across = free.shape
    m = 0
    for i in range(n):
        y, k = queue[i] >> 32, queue[i] & LOW
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(k - 1, 0), min(k + 2, across)):
                if free[v, u] and stamp[v, u] != turn:
                    stamp[v, u] = turn
                    waiting[m] = (v << 32) | u
                    m += 1
    return m


@compiled
def _still_free(left: Any, m: int, free: Any) -> int:
    """Keep those of the first m listed words that still have free pixels."""
    kept = 0
    for i in range(m):
        if free[left[i] >> 32, left[i] & LOW]:
            left[kept] = left[i]
            kept += 1
    return kept


@compiled
def _spread(
    flat: Any, stride: int, free: Any, done: Any, areas: Any, rounds: int, octagon: bool
) -> None:
    height, across = free.shape
    queue = np.empty(free.size, np.int64)  # row in the upper half, word in the lower
    other = np.empty(free.size, np.int64)
    fresh = np.empty(free.size, np.uint64)
    stamp = np.zeros(free.shape, np.int32)
    n = 0
    for y in range(height):
        for k in range(across):
            if free[y, k]:
                queue[n] = (y << 32) | k
                n += 1
    left, m = queue[:n].copy(), n  # all words with free pixels, and maybe some without
    turn = 0
    while n and (rounds == 0 or turn < rounds):
        cross = octagon and turn % 2 == 0
        turn += 1
        kept = 0
        for i in range(n):
            y, k = queue[i] >> 32, queue[i] & LOW
            new, later = _reached(free, done, y, k, cross)
            if later == 0:
                continue
            queue[kept], fresh[kept] = queue[i], new
            kept += 1
            _claim(flat, stride, y, k, new, cross, areas)
        for i in range(kept):
            y, k = queue[i] >> 32, queue[i] & LOW
            done[y, k] |= fresh[i]
            free[y, k] &= ~fresh[i]
            _settle(flat, stride, y, k, fresh[i])
        if m <= 4 * kept:
            m = _still_free(left, m, free)
        if m <= kept:  # cheaper than to look around every word that changed
            queue[:m], n = left[:m], m
        else:
            n = _waiting(queue, kept, free, stamp, turn, other)
            queue, other = other, queue


def spread(
    labels: Labels, free: Words, done: Words, areas: Counts, rounds: int, octagon: bool
) -> None:
    """See `Kernels.spread`."""
    flat = labels.reshape(-1).view(np.uint32)
    _spread(flat, labels.shape[1], free, done, areas, rounds, octagon)
