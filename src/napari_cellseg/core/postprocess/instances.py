"""Objects that a network found one by one, kept compactly, and what settings need of them fast."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

_CHUNK = 2**20  # pixels whose positions are worked out at once
_KEPT_PARTS = 2  # the whole picture and the visible part

Floats = npt.NDArray[np.float32]
Part = tuple[tuple[int, int], tuple[int, int]]
"""Rows and columns of a part of a picture, each as first and stop."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels of the boxes of all objects, one object after the other.

    Attributes
    ----------
    position
        Row-major positions within the part.
    value
        Probability times 255 that the pixel belongs to the object, uint8.
    bounds
        (N + 1,): object ``i`` has ``position[bounds[i]:bounds[i + 1]]``.
    """

    position: npt.NDArray[np.int64]
    value: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Instances:
    """Candidates for objects in one picture, the most certain first.

    Attributes
    ----------
    shape
        (Y, X) of the picture.
    boxes
        float32 (N, 4): y0, x0, y1, x1 in pixels, the edges of the outermost rows and columns.
    scores
        float32 (N,) in [0, 1], falling.
    masks
        uint8 (N, M, M): the probability times 255 that a part of the box is the object.
    """

    shape: tuple[int, int]
    boxes: Floats
    scores: Floats
    masks: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        boxes: Floats,
        scores: Floats,
        masks: npt.NDArray[np.uint8],
    ) -> Instances:
        """Put candidates of any order in the order of their scores."""
        order = np.argsort(-scores, kind="stable")
        return cls(shape, boxes[order], scores[order], masks[order])

    def __len__(self) -> int:
        """How many candidates there are."""
        return len(self.scores)

    @cached_property
    def overlaps(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Pairs (P, 2) of candidates whose boxes overlap, the better one first, and their IoU.

        Pairs are sorted by the better one.
        """
        pairs, common = intersections(self.boxes)
        areas = box_areas(self.boxes)
        union = areas[pairs[:, 0]] + areas[pairs[:, 1]] - common
        return pairs, (common / np.maximum(union, 1e-9)).astype(np.float32)

    def without_overlaps(self, limit: float) -> npt.NDArray[np.bool_]:
        """Return which candidates are left of those whose boxes' IoU exceeds `limit`: the better.

        Non-maximum suppression: from the best candidate to the worst, each that is still there
        takes away all worse ones that overlap with it too much.
        """
        kept = np.ones(len(self), bool)
        pairs, iou = self.overlaps
        for better, worse in pairs[iou > limit]:
            if kept[better]:
                kept[worse] = False
        return kept

    def pixels(self, part: Part) -> Pixels:
        """Return the pixels of all boxes within a part of the picture."""
        (top, bottom), (left, right) = part
        # a pixel belongs to a box if its centre does
        first = np.ceil(self.boxes[:, :2] - 0.5).astype(np.int64)
        stop = np.floor(self.boxes[:, 2:] - 0.5).astype(np.int64) + 1
        first = np.maximum(first, (top, left))
        sides = np.maximum(np.minimum(stop, (bottom, right)) - first, 0)
        bounds = np.concatenate([[0], np.cumsum(sides.prod(axis=1))])
        position = np.empty(bounds[-1], np.int64)
        value = np.empty(bounds[-1], np.uint8)
        for begin, end in _chunks(bounds):
            owner, within = _numbered(sides[begin:end].prod(axis=1))
            owner = owner + begin
            y, x = np.divmod(within, sides[owner, 1])
            y, x = y + first[owner, 0], x + first[owner, 1]
            here = slice(bounds[begin], bounds[end])
            position[here] = (y - top) * (right - left) + x - left
            value[here] = self._sample(owner, y, x)
        return Pixels(position, value, bounds)

    def as_map(self) -> npt.NDArray[np.uint8]:
        """Return the greatest product of score and mask at each pixel, uint8 (Y, X), 255 for 1."""
        pixels = self.pixels(((0, self.shape[0]), (0, self.shape[1])))
        owner = np.repeat(np.arange(len(self)), np.diff(pixels.bounds))
        certain = np.rint(pixels.value * self.scores[owner]).astype(np.uint8)
        canvas = np.zeros(self.shape[0] * self.shape[1], np.uint8)
        np.maximum.at(canvas, pixels.position, certain)
        return canvas.reshape(self.shape)

    def _sample(
        self,
        owner: npt.NDArray[np.int64],
        y: npt.NDArray[np.int64],
        x: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.uint8]:
        """Interpolate masks at pixels.

        Pixel i lies at coordinate i, as in the projection of the true masks that networks learn.
        """
        side = self.masks.shape[1]
        corners = []
        for at, axis in ((y, 0), (x, 1)):
            low, high = self.boxes[owner, axis], self.boxes[owner, axis + 2]
            place = (at - low) / np.maximum(high - low, 1e-6) * side - 0.5
            place = np.clip(place, 0, side - 1).astype(np.float32)
            before = np.minimum(place.astype(np.int32), max(side - 2, 0))
            corners.append((before, np.minimum(before + 1, side - 1), place - before))
        (y0, y1, v), (x0, x1, u) = corners
        masks = self.masks
        upper = masks[owner, y0, x0] * (1 - u) + masks[owner, y0, x1] * u
        lower = masks[owner, y1, x0] * (1 - u) + masks[owner, y1, x1] * u
        value: npt.NDArray[np.uint8] = (upper * (1 - v) + lower * v + 0.5).astype(np.uint8)
        return value


class InstanceSource:
    """Candidates with the pixels of the last parts looked at; two threads may ask."""

    def __init__(self, instances: Instances) -> None:
        self.instances = instances
        self._lock = threading.Lock()
        self._parts: OrderedDict[Part, Pixels] = OrderedDict()

    def pixels(self, part: Part) -> Pixels:
        """Return the pixels of all boxes within a part, worked out once."""
        with self._lock:
            if part not in self._parts:
                self._parts[part] = self.instances.pixels(part)
            self._parts.move_to_end(part)
            while len(self._parts) > _KEPT_PARTS:
                self._parts.popitem(last=False)
            return self._parts[part]

    def without_overlaps(self, limit: float) -> npt.NDArray[np.bool_]:
        """Return which candidates are left when overlapping ones are suppressed."""
        with self._lock:
            return self.instances.without_overlaps(limit)


def box_areas(boxes: Floats) -> Floats:
    """Return the areas of boxes (N, 4)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def intersections(boxes: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return all pairs (P, 2) of boxes that overlap, lower index first, and their common areas.

    Pairs are sorted. Boxes are compared with those that begin before they end: time and memory
    grow with the boxes in a band of the picture, not with the square of all.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    rows = boxes[order]
    pairs, common = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for begin in range(0, len(rows), 256):
        mine = rows[begin : begin + 256]
        stop = int(np.searchsorted(rows[:, 0], mine[:, 2].max(), side="left"))
        others = rows[begin : max(stop, begin + 1)]
        high = np.minimum(mine[:, None, 2:], others[None, :, 2:])
        low = np.maximum(mine[:, None, :2], others[None, :, :2])
        area = np.clip(high - low, 0, None).prod(axis=2)
        area[np.tril_indices(len(mine), 0, len(others))] = 0
        i, j = np.nonzero(area)
        pairs.append(np.sort(np.stack([order[begin + i], order[begin + j]], axis=1), axis=1))
        common.append(area[i, j].astype(np.float32))
    all_pairs, all_common = np.concatenate(pairs), np.concatenate(common)
    order = np.lexsort((all_pairs[:, 1], all_pairs[:, 0]))
    return all_pairs[order], all_common[order]


def _chunks(bounds: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Divide objects into runs of about `_CHUNK` pixels."""
    count = len(bounds) - 1
    cuts = np.searchsorted(bounds, np.arange(0, bounds[-1], _CHUNK))
    edges = np.unique(np.concatenate([[0], cuts, [count]]))
    return [(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def _numbered(
    counts: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each of ``sum(counts)`` items its owner and its number within it."""
    owner = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    return owner, np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
