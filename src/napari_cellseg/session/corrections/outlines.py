"""Pictures of the outlines of locked objects: solid for accepted ones, dashed for edited ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_cellseg.session.corrections.delta import Box, Delta
from napari_cellseg.session.corrections.states import ObjectState, States

SOLID, DASHED = 1, 2
_PERIOD = 24  # px; along rows it makes dashes of 4 px, along columns of 6 px

Kinds = dict[int, int]
UInt8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.integer]


def kind_of(state: ObjectState) -> int:
    """Return how the outline of an object is drawn, 0 for not at all."""
    if not state.locked:
        return 0
    return DASHED if state.decision == "edited" else SOLID


def kinds_of(states: States) -> Kinds:
    """Return how the outlines of all locked objects are drawn."""
    return {label: kind_of(states[label]) for label in states if states[label].locked}


def changed_kinds(states: Mapping[int, tuple[ObjectState, ObjectState]]) -> Kinds:
    """Return the objects whose outlines another state changes, and how they are drawn then."""
    return {
        label: kind_of(after)
        for label, (before, after) in states.items()
        if kind_of(before) != kind_of(after)
    }


def draw(plane: IntArray, kinds: Mapping[int, int], box: Box | None = None) -> UInt8Array:
    """Return the outlines within a box of a plane (Y, X), the whole plane by default.

    An outline is one pixel wide and lies inside its object; the border of the image closes it.
    The dashes hang together with the image, not with the object: a part can be drawn anew.
    """
    rows, columns = box or (slice(0, plane.shape[0]), slice(0, plane.shape[1]))
    # A frame of one pixel around the box: neighbours decide what is an edge.
    top, left = max(rows.start - 1, 0), max(columns.start - 1, 0)
    part = plane[top : rows.stop + 1, left : columns.stop + 1]
    y, x = np.nonzero(_edges(part, plane.shape, top, left))
    y, x = y + top, x + left
    inside = (y >= rows.start) & (y < rows.stop) & (x >= columns.start) & (x < columns.stop)
    y, x = y[inside], x[inside]
    kind = _look_up(plane[y, x], kinds)
    kind[(kind == DASHED) & ((2 * y + 3 * x) % _PERIOD >= _PERIOD // 2)] = 0
    picture = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    picture[y - rows.start, x - columns.start] = kind
    return picture


def of_objects(pixels: Delta, labels: IntArray) -> Delta:
    """Return the part of a change that concerns some objects."""
    if not pixels or not labels.size:
        return Delta.none()
    kept = np.isin(pixels.before, labels) | np.isin(pixels.after, labels)
    return Delta(pixels.positions[kept], pixels.before[kept], pixels.after[kept])


def _edges(part: IntArray, shape: tuple[int, ...], top: int, left: int) -> npt.NDArray[np.bool_]:
    """Tell which pixels of a part of a plane of `shape` are the last ones of their object."""
    edges = np.zeros(part.shape, dtype=bool)
    down, right = part[1:] != part[:-1], part[:, 1:] != part[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    if part.size:
        edges[0] |= top == 0
        edges[:, 0] |= left == 0
        edges[-1] |= top + part.shape[0] == shape[0]
        edges[:, -1] |= left + part.shape[1] == shape[1]
    return edges


def _look_up(labels: IntArray, kinds: Mapping[int, int]) -> UInt8Array:
    """Return the kind of each of some labels."""
    if not kinds:
        return np.zeros(labels.shape, np.uint8)
    if labels.size < 1000:
        found, place = np.unique(labels, return_inverse=True)
        table = np.array([kinds.get(label, 0) for label in found.tolist()], np.uint8)
        return table[place] if labels.size else np.zeros(0, np.uint8)
    known = np.fromiter(kinds, np.int64, len(kinds))
    drawn = np.fromiter(kinds.values(), np.uint8, len(kinds))
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, labels, sorter=order), known.size - 1)]
    return np.where(known[at] == labels, drawn[at], 0).astype(np.uint8)
