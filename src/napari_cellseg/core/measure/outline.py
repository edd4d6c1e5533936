"""Perimeter, and which objects lie side by side: what follows from the pixels of the outlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.measure.objects import FloatArray, IntArray, Objects
from napari_cellseg.core.measure.shape import PixelSize, in_both_units
from napari_cellseg.core.measure.table import Columns


@dataclass(frozen=True, eq=False)
class Outlines:
    """Outline pixels: those beside which, up, down, left or right, is no pixel of their object.

    Attributes
    ----------
    owner
        Whose outline is where, 1 + place of the object, 0 elsewhere; flat, of the plane with a
        margin of zeros.
    width, margin
        Width of a row of it, and of the margin on each side.
    position
        Where the outline pixels are in it, ascending, seen from the margin's corner, (M,).
    mine
        Their `owner`, (M,).
    """

    owner: npt.NDArray[np.int32]
    width: int
    margin: int
    position: IntArray
    mine: npt.NDArray[np.int32]

    def beside(self, down: int, right: int) -> npt.NDArray[np.int32]:
        """Return whose outline is that far from each outline pixel, (M,)."""
        shift = (down + self.margin) * self.width + right + self.margin
        return self.owner[shift:][self.position]


def find_outlines(objects: Objects, margin: int) -> Outlines:
    """Find the outline pixels; `margin` is how far `Outlines.beside` may look."""
    place = objects.shapes.place
    inner = np.zeros(place.shape, bool)
    middle = inner[1:-1, 1:-1]
    here = place[1:-1, 1:-1]
    if here.size:
        np.equal(here, place[:-2, 1:-1], out=middle)
        for other in (place[2:, 1:-1], place[1:-1, :-2], place[1:-1, 2:]):
            middle &= here == other
    inner |= place == 0
    found = np.flatnonzero(~inner)
    mine = place.reshape(-1)[found]
    height, width = place.shape
    across = width + 2 * margin
    owner = np.zeros((height + 2 * margin) * across, np.int32)
    row, column = np.divmod(found, width)
    position = row * across + column
    owner[margin * (across + 1) :][position] = mine
    return Outlines(owner, across, margin, position, mine)


def perimeter_columns(objects: Objects, outlines: Outlines, pixel_size: PixelSize) -> Columns:
    """Return the perimeter by the estimate of Benkrid and Crookes (2000), as regionprops has it.

    Every outline pixel counts by the outline pixels beside it: straight on 1, at a corner
    sqrt(2), between (1 + sqrt(2)) / 2. In oblong pixels the 1 is the mean step to those beside it,
    sqrt(2) the diagonal.
    """
    same = {
        (down, right): outlines.beside(down, right) == outlines.mine
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    }
    along_y = same[-1, 0].view(np.int8) + same[1, 0].view(np.int8)
    along_x = same[0, -1].view(np.int8) + same[0, 1].view(np.int8)
    diagonal = sum(same[y, x].view(np.int8) for y in (-1, 1) for x in (-1, 1))
    code = (along_y * 3 + along_x) * 5 + diagonal

    def length(height: float, width: float) -> FloatArray:
        weights = _weights(height, width)[code]
        total = np.bincount(outlines.mine, weights, len(objects.shapes.ids) + 1)[1:]
        return total.astype(np.float64)

    return in_both_units("perimeter", length, pixel_size)


def _weights(height: float, width: float) -> FloatArray:
    """Return the length of an outline pixel by its code, see `perimeter_columns`."""
    weights = np.zeros(45)
    across = float(np.hypot(height, width))
    for along_y in range(3):
        for along_x in range(3):
            straight = along_y + along_x
            step = (along_y * height + along_x * width) / max(straight, 1)
            for diagonal in range(5):
                kind = (straight, diagonal)
                code = (along_y * 3 + along_x) * 5 + diagonal
                if kind in ((2, 0), (3, 0), (2, 1), (3, 1), (2, 2), (3, 2)):
                    weights[code] = step
                elif kind in ((0, 2), (1, 3)):
                    weights[code] = across
                elif kind in ((1, 1), (1, 2)):
                    weights[code] = (step + across) / 2
    return weights


def neighbour_columns(
    objects: Objects, outlines: Outlines, distance: float, pixel_size: PixelSize
) -> Columns:
    """Return how many objects lie within `distance` px, and how far the nearest centroid is."""
    columns: Columns = {"neighbours": _neighbours(outlines, distance, len(objects.shapes.ids))}
    centres = np.stack([objects.shapes.y, objects.shapes.x], axis=1)
    return columns | in_both_units("nearest", lambda *size: _nearest(centres * size), pixel_size)


def _neighbours(outlines: Outlines, distance: float, number: int) -> IntArray:
    """Count the other objects with an outline pixel within `distance` of one's own, (number,)."""
    from scipy.sparse import coo_array

    # Of two objects, the two pixels nearest to each other are on the outlines.
    reach = int(distance)
    pairs = [np.zeros((2, 0), np.int32)]
    for down in range(reach + 1):
        for right in range(-reach, reach + 1):
            if down * down + right * right > distance * distance or (down == 0 and right <= 0):
                continue
            other = outlines.beside(down, right)
            hit = np.flatnonzero((other != outlines.mine) & (other > 0))
            pairs.append(np.stack([outlines.mine[hit], other[hit]]))
    # A sparse matrix unites equal pairs in linear time, which sorting them does not.
    every = np.concatenate(pairs, axis=1) - 1
    ones = np.ones(every.shape[1], bool)
    near = coo_array((ones, (every[0], every[1])), shape=(number, number)).tocsr()
    near = near + near.T
    near.sum_duplicates()
    counts: IntArray = np.diff(near.indptr).astype(np.int64)
    return counts


def _nearest(centres: FloatArray) -> FloatArray:
    if len(centres) < 2:
        return np.full(len(centres), np.nan)
    from scipy.spatial import KDTree

    # The nearest of all is the object itself, or one with the same centre.
    nearest: FloatArray = KDTree(centres).query(centres, k=2)[0][:, 1]
    return nearest
