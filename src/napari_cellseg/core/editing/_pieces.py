"""Parts an object between seeds along its narrowest places, and numbers the parts of objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import (
    Box,
    Edit,
    Int32Array,
    changes,
    check_new_id,
    common,
    cover,
    inside,
)
from napari_cellseg.core.editing.objects import BoolArray, IntArray, ObjectIndex

FloatArray = npt.NDArray[np.float64]
NewIds = Callable[[], int]

# How much dearer it is to go through a narrow place: 0 parts half way between the seeds, which
# suits an object without a waist; 4 parts at the waist even if one seed is much nearer to it.
_CONTRASTS = (0.0, 2.0, 4.0)
# How much equal parts count beside a cut through low places: found with overlapping discs, which
# ask for less, and ellipses, which ask for more.
_FAIRNESS = 0.75
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, eq=False)
class Cut:
    """An object in parts: `parts`, (h, w) of its box, has 1, 2, ...; 0 is left as it is."""

    object_id: int
    box: Box
    parts: Int32Array


def depth(mask: BoolArray, box: Box, probability: npt.NDArray[Any] | None) -> FloatArray:
    """Return the distance of each pixel of an object to its outline, times its probability."""
    from scipy.ndimage import distance_transform_edt

    found: FloatArray = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return found if probability is None else found * as_probability(probability[box])


def as_probability(values: npt.NDArray[Any]) -> FloatArray:
    """Return a probability map as floats from 0 to 1; a kept map is uint8, 255 for 1."""
    if values.dtype == np.uint8:
        return values / 255.0
    return np.clip(np.nan_to_num(values.astype(np.float64)), 0.0, 1.0)


def part_between(mask: BoolArray, seeds: IntArray, height: FloatArray) -> tuple[float, Int32Array]:
    """Give each seed the pixels that it reaches first, at a cost that grows in narrow places.

    Every pixel goes to the seed with the cheapest path to it, so that parts are connected (the
    image foresting transform with additive costs, Falcão, Stolfi & Lotufo 2004). Unlike a
    watershed from the same seeds it needs no valley between them. Of several contrasts the one
    is taken whose cut goes through the lowest places beside the size of the smallest part.

    Parameters
    ----------
    mask
        (h, w): the object, with at least one pixel.
    seeds
        (n, 2) rows and columns of different pixels of the object.
    height
        (h, w): high inside of a part and low where objects meet.

    Returns
    -------
    tuple
        How good the cut is, the less the better, and parts 1..n, (h, w), 0 outside
        of the object. Pieces of the object without a seed go to the nearest part.
    """
    a, b, length = _links(mask)
    tall = height[mask]
    tall = np.maximum(tall / tall.max(), 0.05) if tall.max() > 0 else np.ones_like(tall)
    place = np.zeros(mask.shape, np.int64)
    place[mask] = np.arange(len(tall))
    starts = place[seeds[:, 0], seeds[:, 1]]
    tries = []
    for contrast in _CONTRASTS:
        cost = tall**-contrast
        owner = _cheapest(a, b, length * (cost[a] + cost[b]), len(tall), starts)
        cut = float(((tall[a] + tall[b]) / length)[owner[a] != owner[b]].sum())
        smallest = np.bincount(owner, minlength=len(seeds) + 1)[1:].min()
        tries.append((cut / float(smallest) ** _FAIRNESS, owner))
    score, owner = min(tries, key=lambda made: made[0])
    parts = np.zeros(mask.shape, np.int32)
    parts[mask] = owner
    return score, fill_from_nearest(parts, mask)


def fill_from_nearest(parts: Int32Array, mask: BoolArray) -> Int32Array:
    """Give pixels of the mask that have no part, 0, the part nearest to them."""
    from scipy.ndimage import distance_transform_edt

    empty = mask & (parts == 0)
    if not empty.any():
        return parts
    nearest = distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    return np.where(empty, parts[tuple(nearest)], parts)


def edits_of(
    plane: npt.NDArray[Any], objects: ObjectIndex, cuts: Sequence[Cut], new_ids: NewIds
) -> list[Edit]:
    """Give every part an id: the largest keeps that of the object, the others get new ones.

    Pixels that are in no part keep the id too. New ids go to the parts in reading order.
    """
    named = [(cut.box, _named(cut, objects, new_ids)) for cut in cuts]
    edits: list[Edit] = []
    for region, places in cover([box for box, _ in named]):
        after = np.array(plane[region], np.int32)
        for box, labels in (named[place] for place in places.tolist()):
            shared = common(box, region)
            if shared is not None:
                here = labels[inside(shared, box)]
                np.copyto(after[inside(shared, region)], here, where=here > 0)
        edits += changes(plane, region, after)
    return edits


def _named(cut: Cut, objects: ObjectIndex, new_ids: NewIds) -> Int32Array:
    """Ids of the new parts of an object, (h, w); 0 where nothing changes."""
    found, first, area = np.unique(cut.parts, return_index=True, return_counts=True)
    first, area, found = first[found > 0], area[found > 0], found[found > 0]
    order = np.argsort(first)
    largest = found[order][np.argmax(area[order])]
    table = np.zeros(int(cut.parts.max()) + 1, np.int32)
    for part in found[order]:
        if part != largest:
            table[part] = check_new_id(new_ids(), objects)
    return table[cut.parts]


def _links(mask: BoolArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs of neighbours among the pixels of the mask, 8-connected, and how far apart they are."""
    place = np.zeros(mask.shape, np.int64)
    place[mask] = np.arange(int(mask.sum()))
    height, width = mask.shape
    pairs = []
    for dy, dx in _STEPS:
        one = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
        other = slice(dy, height), slice(max(0, dx), width - max(0, -dx))
        both = mask[one] & mask[other]
        step = np.full(int(both.sum()), np.hypot(dy, dx))
        pairs.append((place[one][both], place[other][both], step))
    a, b, length = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return a, b, length


def _cheapest(
    a: IntArray, b: IntArray, cost: FloatArray, pixels: int, starts: IntArray
) -> IntArray:
    """Return 1 + the position in `starts` of the cheapest start of each pixel; 0 if none is."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    graph = coo_array((cost, (a, b)), shape=(pixels, pixels)).tocsr()
    source = dijkstra(
        graph, directed=False, indices=starts, min_only=True, return_predecessors=True
    )[2]
    number = np.zeros(pixels, np.int64)
    number[starts] = np.arange(len(starts)) + 1
    # Pixels that no start can reach have a source below 0.
    return np.where(source >= 0, number[np.maximum(source, 0)], 0)
