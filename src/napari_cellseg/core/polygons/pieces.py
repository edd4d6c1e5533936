"""Outlines by object and piece: which hole lies in which outer ring; and as lines of pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cellseg.core.polygons.rings import Rings
from napari_cellseg.core.polygons.trace import trace

Ring = npt.NDArray[np.int64]


class Outline(NamedTuple):
    """One object: its number, and for each piece the outer ring and the holes, (n, 2) of x, y."""

    label: int
    pieces: list[list[Ring]]


def outlines(labels: npt.NDArray[Any]) -> Iterator[Outline]:
    """Yield the valid polygons of every object of a plane (Y, X), ascending by number.

    Pixels that touch by a corner only are separate pieces.
    """
    rings = trace(labels)
    outer = (rings.area > 0).tolist()
    parts = rings.parts()
    ids, first = np.unique(rings.owner, return_index=True)
    bounds = [*first.tolist(), len(parts)]
    for number, label in enumerate(ids.tolist()):
        begin, end = bounds[number : number + 2]
        if end == begin + 1:
            yield Outline(label, [[parts[begin]]])
            continue
        shells = [parts[k] for k in range(begin, end) if outer[k]]
        holes = [parts[k] for k in range(begin, end) if not outer[k]]
        yield Outline(label, _matched(labels, label, shells, holes))


def _matched(
    labels: npt.NDArray[Any], label: int, shells: list[Ring], holes: list[Ring]
) -> list[list[Ring]]:
    if len(shells) == 1:
        return [[*shells, *holes]]
    if not holes:
        return [[shell] for shell in shells]
    corners = np.concatenate(shells)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    pieces, _ = ndimage.label(labels[top:bottom, left:right] == label)
    numbers = [_piece_beside(pieces, shell - (left, top)) for shell in shells]
    found = {number: [shell] for number, shell in zip(numbers, shells, strict=True)}
    for hole in holes:
        found[_piece_beside(pieces, hole - (left, top))].append(hole)
    return list(found.values())


def _piece_beside(pieces: npt.NDArray[Any], ring: Ring) -> int:
    """Return the piece of the pixel at the right hand of the first side."""
    (x, y), (u, v) = ring[0], ring[1]
    column = x if u > x or v < y else x - 1
    row = y if u > x or v > y else y - 1
    return int(pieces[row, column])


def keyhole(piece: list[Ring]) -> Ring:
    """Return one ring for an outer ring with holes, joined by lines that are passed twice."""
    if len(piece) == 1:
        return piece[0]
    shell, *holes = piece
    joined = [shell]
    for hole in holes:
        joined += [shell[:1], hole, hole[:1]]
    return np.concatenate([*joined, shell[:1]])


def pixel_outlines(labels: npt.NDArray[Any]) -> Rings:
    """Return the outermost pixels of every object of a plane, in order along its outline.

    As other programs draw outlines: holes are left out, and of objects in several pieces all but
    the one with the longest outline. Pixels that touch by a corner are joined.

    Returns
    -------
    Rings
        Vertex (x, y) is the pixel in column x and row y; one ring an object, ascending.
    """
    rings = trace(labels, diagonal=True)
    step = rings.following - rings.xy
    length = np.abs(step).sum(axis=1)
    along = np.sign(step)
    # The pixel at the right hand of the start of each side, by the direction of the side.
    back_x = (along[:, 0] < 0) | (along[:, 1] > 0)
    back_y = (along[:, 0] < 0) | (along[:, 1] < 0)
    start = rings.xy - np.stack([back_x, back_y], axis=1)
    part = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    pixel = np.repeat(start, length, axis=0) + part[:, np.newaxis] * np.repeat(
        along, length, axis=0
    )
    ring = np.repeat(rings.ring, length)
    first = np.searchsorted(ring, np.arange(len(rings.owner)))
    before = np.arange(-1, len(pixel) - 1)
    before[first] = np.append(first[1:], len(pixel)) - 1
    moved = (pixel != pixel[before]).any(axis=1)
    lone = np.bincount(ring, moved, len(rings.owner)) == 0
    moved[first[lone]] = True  # an object of one pixel
    return _longest(rings, pixel[moved], ring[moved])


def _longest(rings: Rings, pixel: Ring, ring: Ring) -> Rings:
    count = np.bincount(ring, minlength=len(rings.owner))
    count[rings.area <= 0] = 0
    order = np.lexsort((-count, rings.owner))
    kept = order[np.unique(rings.owner[order], return_index=True)[1]]
    keep = np.zeros(len(rings.owner), bool)
    keep[kept] = True
    return Rings(
        rings.owner[kept], np.append(0, np.cumsum(count[kept])).astype(np.int64), pixel[keep[ring]]
    )
