"""The loops over pixels in numpy and scipy, where there is no numba: same results, slower."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._kernels import Counts, Labels, Runs, Words
from napari_cellseg.core.postprocess._kernels.bits import pack_above, unpack

_NONE = np.uint32(0x80000000)
_FEW_NODES = 20_000
"""Up to so many are connected sooner by numpy than by scipy; small images have hundreds."""
_FEW = 16  # less than this share of a picture is cheaper to write pixel by pixel than as a whole


def components(words: Words, width: int, diagonal: bool) -> Runs:
    """See `Kernels.components`."""
    stride = width + 2
    framed = np.zeros((len(words), stride), np.uint8)
    framed[:, 1:-1] = unpack(words, width)
    flat = framed.reshape(-1)
    turns = np.flatnonzero(flat[1:] != flat[:-1])  # a run's first pixel stands one further
    begins, ends = turns[::2], turns[1::2]  # begins: position less the frame = row-major by stride
    row = begins // stride
    touch = int(diagonal)
    low = np.searchsorted(ends + touch, begins - stride, side="right")
    high = np.searchsorted(begins, ends - stride + touch, side="left")
    pairs = np.maximum(high - low, 0)
    here = np.repeat(np.arange(len(begins)), pairs)
    above = np.arange(len(here)) - np.repeat(np.cumsum(pairs) - pairs, pairs) + low[here]
    count, component = _connect(len(begins), here, above)
    columns = (begins - row * stride, ends - row * stride)
    return Runs(
        row.astype(np.int32),
        columns[0].astype(np.int32),
        columns[1].astype(np.int32),
        component,
        count,
    )


def _connect(
    nodes: int, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> tuple[int, Labels]:
    """Return the number of groups, and the group of each node: 1, 2, ... by their first node."""
    if nodes <= _FEW_NODES:
        parent = _first_of_group(nodes, one, other)
        begins = parent == np.arange(nodes)
        return int(begins.sum()), np.cumsum(begins, dtype=np.int32)[parent]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(one), np.uint8), (one, other)), shape=(nodes, nodes))
    count, group = connected_components(graph, directed=False)
    first = np.empty(count, np.int64)
    first[group[::-1]] = np.arange(nodes)[::-1]
    rank = np.empty(count, np.int32)
    rank[np.argsort(first)] = np.arange(1, count + 1)
    return int(count), rank[group]


def _first_of_group(
    nodes: int, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return for each node the first one of its group."""
    parent = np.arange(nodes)
    while True:
        ends = parent[one], parent[other]
        low, high = np.minimum(*ends), np.maximum(*ends)
        if np.array_equal(low, high):
            return parent
        np.minimum.at(parent, high, low)
        while True:  # until every node points to one that points to itself
            above = parent[parent]
            if np.array_equal(above, parent):
                break
            parent = above


def _select(runs: Runs, which: npt.NDArray[np.bool_]) -> Runs:
    return Runs(
        runs.row[which], runs.start[which], runs.stop[which], runs.component[which], runs.count
    )


def _pixels(runs: Runs, stride: int) -> npt.NDArray[np.int64]:
    """Return the row-major positions of all pixels of the runs, `stride` a row."""
    lengths = (runs.stop - runs.start).astype(np.int64)
    begins = runs.row.astype(np.int64) * stride + runs.start
    offsets = np.cumsum(lengths) - lengths
    at: npt.NDArray[np.int64] = np.repeat(begins - offsets, lengths)
    return at + np.arange(len(at))


def paint(labels: Labels, words: Words, runs: Runs, values: Labels) -> None:
    """See `Kernels.paint`."""
    chosen = _select(runs, values[runs.component] > 0)
    if not len(chosen.row):
        return
    stride = labels.shape[1]
    flat = labels.reshape(-1)
    lengths = chosen.stop - chosen.start
    if int(lengths.sum()) * _FEW < flat.size:
        at = _pixels(chosen, stride) + stride + 1
        flat[at] = np.repeat(values[chosen.component], lengths)
        words |= pack_above(labels[1:-1, 1:-1], 0)
        return
    begins = (chosen.row.astype(np.int64) + 1) * stride + chosen.start + 1
    bounds = np.stack([begins, begins + chosen.stop - chosen.start], axis=1).reshape(-1)
    value = np.zeros(len(bounds), np.int32)  # of what precedes each bound: gap, run, gap, run, ...
    value[1::2] = values[chosen.component]
    flat[: bounds[-1]] += np.repeat(value, np.diff(bounds, prepend=0))
    words |= pack_above(labels[1:-1, 1:-1], 0)


def spread(
    labels: Labels, free: Words, done: Words, areas: Counts, rounds: int, octagon: bool
) -> None:
    """See `Kernels.spread`."""
    stride = labels.shape[1]
    signed = labels.reshape(-1)
    y, x = np.divmod(np.flatnonzero(unpack(free, stride - 2)), stride - 2)
    left = y * stride + x  # the pixel up and left of each: offsets from it are never negative
    cross = np.array([-1, 1, -stride, stride])
    square = np.concatenate([cross, [-stride - 1, -stride + 1, stride - 1, stride + 1]])
    turn = idle = 0
    while len(left) and idle < 1 + octagon and (rounds == 0 or turn < rounds):
        best = np.full(len(left), _NONE, np.uint32)
        for offset in cross if octagon and turn % 2 == 0 else square:
            near = np.take(signed[stride + 1 + offset :], left, mode="clip").view(np.uint32)
            near -= np.uint32(1)  # background, 0, wraps to the greatest number
            np.minimum(best, near, out=best)
        got = best < _NONE
        label = best[got].astype(np.int32) + 1
        signed[left[got] + stride + 1] = label
        areas += np.bincount(label, minlength=len(areas))
        idle = 0 if len(label) else idle + 1
        left = left[~got]
        turn += 1
    done |= pack_above(labels[1:-1, 1:-1], 0)
    free &= ~done


def owners(labels: Labels, runs: Runs) -> Labels:
    """See `Kernels.owners`."""
    height, width = labels.shape[0] - 2, labels.shape[1] - 2
    rim = (runs.row == 0) | (runs.row == height - 1) | (runs.start == 0) | (runs.stop == width)
    hole = np.ones(runs.count + 1, bool)
    hole[runs.component[rim]] = False
    hole[0] = False
    chosen = _select(runs, hole[runs.component])
    stride = labels.shape[1]
    at = _pixels(chosen, stride) + stride + 1
    component = np.repeat(chosen.component, chosen.stop - chosen.start)
    lowest = np.full(runs.count + 1, np.iinfo(np.int32).max, np.int32)
    highest = np.zeros(runs.count + 1, np.int32)
    for offset in (-1, 1, -stride, stride):
        label = labels.reshape(-1)[at + offset]
        seen = label > 0
        np.minimum.at(lowest, component[seen], label[seen])
        np.maximum.at(highest, component[seen], label[seen])
    return np.where(hole & (lowest == highest), highest, 0).astype(np.int32)


def peaks(image: npt.NDArray[np.uint8], runs: Runs) -> Counts:
    """See `Kernels.peaks`."""
    peak = np.zeros(runs.count + 1, np.int64)
    values = image.reshape(-1)[_pixels(runs, image.shape[1])]
    np.maximum.at(peak, np.repeat(runs.component, runs.stop - runs.start), values)
    return peak


def finish(labels: Labels, table: Labels, starts: Counts, out: Labels, pixels: Counts) -> None:
    """See `Kernels.finish`."""
    del starts  # the pixels come out sorted by object
    np.take(table, labels[1:-1, 1:-1], out=out, mode="clip")
    gone = np.flatnonzero(out < 0)
    flat = out.reshape(-1)
    which = -flat[gone].astype(np.int64)
    pixels[:] = gone[np.argsort(which, kind="stable")]
    flat[gone] = 0
