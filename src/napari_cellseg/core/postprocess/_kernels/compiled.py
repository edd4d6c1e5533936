"""The loops over pixels, compiled by numba: one thread, no lock held, kept on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_cellseg.core.postprocess._kernels import Counts, Labels, Runs, Words
from napari_cellseg.core.postprocess._kernels._jit import (
    ALL,
    LAST,
    ONE,
    compiled,
    count_bits,
    lowest_bit,
)
from napari_cellseg.core.postprocess._kernels.bits import pack_above
from napari_cellseg.core.postprocess._kernels.spreading import spread


@compiled
def _count_runs(words: Any) -> Any:
    height, across = words.shape
    turns = np.uint64(0)
    for y in range(height):
        carry = np.uint64(0)
        for k in range(across):
            word = words[y, k]
            turns += count_bits(word ^ ((word << ONE) | carry))
            carry = word >> LAST
        turns += carry
    return np.int64(turns) // 2


@compiled
def _find_runs(words: Any, width: int, row: Any, start: Any, stop: Any, first: Any) -> None:
    """List the runs; row y has those from first[y] to first[y + 1]."""
    height, across = words.shape
    i = 0
    for y in range(height):
        first[y] = i
        carry = np.uint64(0)
        inside = False
        for k in range(across):
            word = words[y, k]
            turns = word ^ ((word << ONE) | carry)
            carry = word >> LAST
            while turns != 0:
                x = 64 * k + np.int64(lowest_bit(turns))
                turns &= turns - ONE
                if inside:
                    stop[i] = x
                    i += 1
                else:
                    row[i] = y
                    start[i] = x
                inside = not inside
        if inside:
            stop[i] = width
            i += 1
    first[height] = i


@compiled
def _root(parent: Any, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _join_runs(start: Any, stop: Any, first: Any, touch: int, parent: Any) -> int:
    """Join runs that overlap in neighbouring rows (touch 1: or meet at a corner); number them."""
    for y in range(1, len(first) - 1):
        a, end = first[y - 1], first[y]
        for b in range(first[y], first[y + 1]):
            while a < end and stop[a] + touch <= start[b]:
                a += 1
            while a < end and start[a] < stop[b] + touch:
                one, other = _root(parent, a), _root(parent, b)
                if one < other:
                    parent[other] = one
                else:
                    parent[one] = other
                a += 1
            if a > first[y - 1]:
                a -= 1  # it may reach the next run, too
    count = 0
    for i in range(len(parent)):  # a root stands before its members
        if parent[i] == i:
            count += 1
            parent[i] = -count
        else:
            above = parent[i]
            while above >= 0:
                above = parent[above]
            parent[i] = above
    for i in range(len(parent)):
        parent[i] = -parent[i]
    return count


def components(words: Words, width: int, diagonal: bool) -> Runs:
    """See `Kernels.components`."""
    many = _count_runs(words)
    row, start, stop = (np.empty(many, np.int32) for _ in range(3))
    first = np.empty(len(words) + 1, np.int64)
    _find_runs(words, width, row, start, stop, first)
    parent = np.arange(many, dtype=np.int32)
    count = _join_runs(start, stop, first, int(diagonal), parent)
    return Runs(row, start, stop, parent, count)


@compiled
def _paint(
    labels: Any, words: Any, row: Any, start: Any, stop: Any, component: Any, values: Any
) -> None:
    for i in range(len(row)):
        value = values[component[i]]
        if value <= 0:
            continue
        line = labels[row[i] + 1]
        for x in range(start[i] + 1, stop[i] + 1):
            line[x] = value
        last = stop[i] - 1
        for k in range(start[i] // 64, last // 64 + 1):
            bits = ALL
            if k == start[i] // 64:
                bits &= ALL << np.uint64(start[i] % 64)
            if k == last // 64:
                bits &= ALL >> np.uint64(63 - last % 64)
            words[row[i], k] |= bits


def paint(labels: Labels, words: Words, runs: Runs, values: Labels) -> None:
    """See `Kernels.paint`."""
    _paint(labels, words, runs.row, runs.start, runs.stop, runs.component, values)


@compiled
def _owners(labels: Any, row: Any, start: Any, stop: Any, component: Any, owner: Any) -> None:
    height, width = labels.shape[0] - 2, labels.shape[1] - 2
    for i in range(len(row)):
        if row[i] == 0 or row[i] == height - 1 or start[i] == 0 or stop[i] == width:
            owner[component[i]] = -1
    for i in range(len(row)):
        c = component[i]
        if owner[c] < 0:
            continue
        y = row[i] + 1
        for x in range(start[i], stop[i] + 2):
            for v in (y - 1, y, y + 1):
                ends = x == start[i] or x == stop[i] + 1
                label = labels[v, x]
                if label == 0 or ends != (v == y):
                    continue
                if owner[c] == 0:
                    owner[c] = label
                elif owner[c] != label:
                    owner[c] = -1
    for c in range(len(owner)):
        owner[c] = max(owner[c], 0)


def owners(labels: Labels, runs: Runs) -> Labels:
    """See `Kernels.owners`."""
    owner = np.zeros(runs.count + 1, np.int32)
    _owners(labels, runs.row, runs.start, runs.stop, runs.component, owner)
    return owner


@compiled
def _peaks(image: Any, row: Any, start: Any, stop: Any, component: Any, peak: Any) -> None:
    for i in range(len(row)):
        for x in range(start[i], stop[i]):
            peak[component[i]] = max(peak[component[i]], np.int64(image[row[i], x]))


def peaks(image: Any, runs: Runs) -> Counts:
    """See `Kernels.peaks`."""
    peak = np.zeros(runs.count + 1, np.int64)
    _peaks(image, runs.row, runs.start, runs.stop, runs.component, peak)
    return peak


@compiled
def _finish(labels: Any, table: Any, starts: Any, out: Any, pixels: Any) -> None:
    height, width = out.shape
    cursor = starts.copy()
    for y in range(height):
        line, source = out[y], labels[y + 1, 1 : width + 1]
        least = np.int32(0)
        for x in range(width):
            line[x] = table[source[x]]
            least = min(least, line[x])
        if least == 0:
            continue
        for x in range(width):
            which = -line[x]
            if which > 0:
                pixels[cursor[which]] = y * width + x
                cursor[which] += 1
                line[x] = 0


def finish(labels: Labels, table: Labels, starts: Counts, out: Labels, pixels: Counts) -> None:
    """See `Kernels.finish`."""
    _finish(
        labels.view(np.uint32), table, starts, out, pixels
    )  # unsigned: never an index from behind


def compile_all() -> None:
    """Run every kernel once on a picture of one pixel, so that no later call compiles."""
    words = pack_above(np.ones((1, 1), np.uint8), 0)
    runs = components(words, 1, True)
    labels, values = np.zeros((3, 3), np.int32), np.ones(2, np.int32)
    counts = np.ones(2, np.int64)
    paint(labels, words.copy(), runs, values)
    spread(labels, words.copy(), words.copy(), counts, 0, False)
    owners(labels, runs)
    peaks(np.ones((1, 1), np.uint8), runs)
    finish(labels, values, counts, np.zeros((1, 1), np.int32), np.zeros(2, np.int64))
