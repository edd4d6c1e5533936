"""The regions of the reviewed planes that a fit works on, each with its true objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.fitting.reviewed import BoolArray, Int32Array, Reviewed
from napari_cellseg.core.fitting.tally import FloatArray, tally
from napari_cellseg.core.postprocess.postprocessor import PostProcessor

Box = tuple[slice, slice]

TILE = 1024
"""A larger reviewed area is cut into squares of this side, in pixels."""

MOST_PIXELS = 2**22
"""Of a still larger one squares are taken at even distances, up to about so many pixels."""

_PAD = 32  # pixels around a region in which predicted objects are still seen whole


@dataclass(frozen=True, eq=False)
class Region:
    """A part of one plane.

    Attributes
    ----------
    processor
        Makes the objects of the plane; nobody else runs it.
    box
        Rows and columns of the part.
    truth
        Its true objects 1..N, int32 (Y, X).
    known, nearest
        See `tally`.
    """

    processor: PostProcessor
    box: Box
    truth: Int32Array
    known: BoolArray
    nearest: Int32Array

    @property
    def count(self) -> int:
        """Number of true objects."""
        return int(self.truth.max(initial=0))

    def tally(self, params: Any) -> FloatArray:
        """Return the counts of the objects under these settings, see `tally`.

        Raises
        ------
        SettingsError
            If the settings need a map that the model does not predict.
        """
        labels = self.processor.run(params, self.box).labels
        return tally(self.truth, labels, self.known, self.nearest)


def regions_of(cases: Sequence[Reviewed]) -> list[Region]:
    """Return the regions to work on.

    Raises
    ------
    DataError
        If no object has been reviewed.
    """
    places = [
        (case, index, tile)
        for case in cases
        for index in case.planes()
        for tile in _tiles(case.claimed(index))
    ]
    regions: list[Region] = []
    plane, last = None, None
    for case, index, tile in _evenly(places):
        if plane is None or last != (id(case), index):
            plane, last = (*case.trusted(index), case.claimed(index)), (id(case), index)
        processor = PostProcessor(case.prediction.plane(index))
        regions.append(_region(processor, plane, tile))
    if not any(region.count for region in regions):
        raise DataError(
            "No object has been reviewed yet: accept some objects, or mark an area in which "
            "every object is right, and fit again."
        )
    return regions


def _evenly(places: list[tuple[Reviewed, tuple[int, ...], Box]]) -> list[Any]:
    """Take places at even distances, so many that their pixels are not too many."""
    pixels = sum(math.prod(side.stop - side.start for side in tile) for *_, tile in places)
    if pixels <= MOST_PIXELS:
        return list(places)
    keep = max(1, len(places) * MOST_PIXELS // pixels)
    return [places[i] for i in np.linspace(0, len(places) - 1, keep).astype(int)]


def _tiles(claimed: BoolArray) -> list[Box]:
    """Return the boxes in which a reviewed area is worked on."""
    box = _box(claimed)
    if box is None:
        return []
    rows, columns = box
    if (rows.stop - rows.start) * (columns.stop - columns.start) <= TILE**2:
        return [box]
    tiles = []
    for top, left in product(
        range(rows.start, rows.stop, TILE), range(columns.start, columns.stop, TILE)
    ):
        inner = _box(claimed[top : top + TILE, left : left + TILE], top, left)
        if inner is not None:
            tiles.append(inner)
    return tiles


def _region(
    processor: PostProcessor, plane: tuple[Int32Array, BoolArray, BoolArray], tile: Box
) -> Region:
    """Cut out a tile, the whole of the objects that are its own, and some room around."""
    objects, known, claimed = plane
    own = np.zeros(int(objects.max(initial=0)) + 1, np.int32)
    mine = _first_in(objects, claimed, tile)
    own[mine] = np.arange(1, mine.size + 1)
    truth = own[objects]
    here = np.zeros_like(known)
    here[tile] = known[tile]
    here = (here & (objects == 0)) | (truth > 0)
    box = _padded(_box(here) or tile, objects.shape)
    return Region(processor, box, truth[box], here[box], nearest_object(truth[box]))


def _first_in(objects: Int32Array, claimed: BoolArray, tile: Box) -> npt.NDArray[np.int64]:
    """Return the objects whose first reviewed pixel, row by row, lies in the tile."""
    flat = np.where(claimed, objects, 0).reshape(-1)
    inside = np.flatnonzero(flat)[::-1]
    first = np.full(int(objects.max(initial=0)) + 1, -1)
    first[flat[inside]] = inside
    y, x = np.divmod(first, objects.shape[1])
    rows, columns = tile
    mine = (rows.start <= y) & (y < rows.stop) & (columns.start <= x) & (x < columns.stop)
    return np.flatnonzero(mine & (first >= 0))


def nearest_object(truth: Int32Array) -> Int32Array:
    """Return the number 0..N-1 of the object 1..N nearest to each pixel; 0 where there is none."""
    if not truth.any():
        return np.zeros_like(truth)
    where = ndimage.distance_transform_edt(truth == 0, return_distances=False, return_indices=True)
    return np.asarray(truth[tuple(where)] - 1)


def _box(mask: BoolArray, top: int = 0, left: int = 0) -> Box | None:
    """Return the rows and columns of what is True, moved by `top` and `left`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return (
        slice(int(rows[0]) + top, int(rows[-1]) + 1 + top),
        slice(int(columns[0]) + left, int(columns[-1]) + 1 + left),
    )


def _padded(box: Box, shape: tuple[int, ...]) -> Box:
    rows, columns = (
        slice(max(side.start - _PAD, 0), min(side.stop + _PAD, size))
        for side, size in zip(box, shape, strict=True)
    )
    return rows, columns
