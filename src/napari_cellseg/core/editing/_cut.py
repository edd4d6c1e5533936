"""Cuts the mask of one object along a hand-drawn line."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.editing.edit import Int32Array
from napari_cellseg.core.editing.objects import BoolArray, IntArray
from napari_cellseg.core.editing.stroke import FloatArray
from napari_cellseg.core.errors import EditError

SAMPLES = 6  # of a stroke, a pixel
_FINE = 3  # cells a pixel and axis of the grid that the cut is made on
_LARGE = 1 << 18  # pixels of a box above which that grid would take too long
_MOST_SAMPLES = 10_000_000
_DIRECTION = 5  # px at the end of a stroke that tell where it was going
_SLIP_AREA = 4  # px; a part with fewer is a slip of the hand,
_SLIP_SHARE = 0.05  # as is one below this share of the second largest part
_EIGHT = np.ones((3, 3), bool)


def sampled(stroke: FloatArray) -> FloatArray:
    """Return positions along a stroke, (N, 2) y, x in px, so dense that none of its pixels lacks.

    Raises
    ------
    EditError
        If the stroke is but a point, or runs far out of any picture.
    """
    step = np.hypot(*np.diff(stroke, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(step)])
    if along[-1] * SAMPLES > _MOST_SAMPLES:
        raise EditError("The line is too long; draw it within the picture.")
    if along[-1] == 0:
        raise EditError("The line is only a point; drag it right across the object.")
    at = np.linspace(0, along[-1], int(along[-1] * SAMPLES) + 2)
    return np.stack([np.interp(at, along, stroke[:, axis]) for axis in (0, 1)], axis=1)


def sides(mask: BoolArray, line: FloatArray, *, alone: bool) -> Int32Array | None:
    """Return the parts of an object on the sides of a line.

    Pixels go to the side on which their centre lies; those right under the line to the nearest
    part, so that no gap is left. Parts too small to be meant go to the part that they touch.

    Parameters
    ----------
    mask
        (h, w): the object.
    line
        (N, 2): from `sampled`, y and x in px of the mask; may run out of it.
    alone
        The line is meant for this object and no other: an end inside of it is prolonged to its
        edge however far that is, else only where the line went at least half of the way; and the
        line may cut off a small part, else only one of a twentieth of the object.

    Returns
    -------
    array or None
        (h, w): 1, 2, ... for the parts, 0 elsewhere and on pieces of the object that the line
        does not part; None if it parts none.
    """
    small = _SLIP_SHARE * int(mask.sum())
    least = min(_SLIP_AREA, small) if alone else small
    parts = _parted(mask, line, least)
    if parts is not None:
        return parts
    head, tail = _prolonged(mask, line[::-1])[::-1], _prolonged(mask, line)
    drawn = int(_on(mask, line).sum())
    if not len(head) + len(tail) or (not alone and drawn < len(head) + len(tail)):
        return None
    return _parted(mask, np.concatenate([head, line, tail]), least)


def _on(mask: BoolArray, line: FloatArray) -> BoolArray:
    """Which samples of the line lie on the object."""
    y, x = np.floor(line + 0.5).astype(np.int64).T
    found = (y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1])
    found[found] = mask[y[found], x[found]]
    return np.asarray(found, bool)


def _prolonged(mask: BoolArray, line: FloatArray) -> FloatArray:
    """Return samples straight on from the last one of the line, until the object ends."""
    end = line[-1]
    back = end - line[-min(len(line), _DIRECTION * SAMPLES + 1)]
    length = float(np.hypot(*back))
    if length == 0 or not _on(mask, line[-1:])[0]:
        return line[:0]
    steps = np.arange(1, SAMPLES * (sum(mask.shape) + 2)) / SAMPLES
    ahead = end + steps[:, None] * back / length
    outside = np.flatnonzero(~_on(mask, ahead))
    # One pixel further: the last cells of the grid must be cut as well.
    return np.asarray(ahead[: outside[0] + SAMPLES])


def _parted(mask: BoolArray, line: FloatArray, least: float) -> Int32Array | None:
    from scipy.ndimage import label
    from skimage.measure import label as label_equal
    from skimage.segmentation import watershed

    scale = _FINE if mask.size <= _LARGE else 1
    fine = mask.repeat(scale, axis=0).repeat(scale, axis=1)
    fine[_cells(fine.shape, line, scale)] = False
    middle = slice(scale // 2, None, scale)
    # A 4-connected line parts 8-connected cells; a pixel belongs where its centre is.
    seen = label_equal(label(fine, _EIGHT)[0][middle, middle], background=0, connectivity=2)
    areas = np.bincount(seen.ravel())[1:]
    if len(areas) < 2:
        return None
    slips = areas < max(least, _SLIP_SHARE * np.partition(areas, -2)[-2])
    seen[np.append(False, slips)[seen]] = 0
    # On a level ground a watershed goes on to the nearest free pixels first.
    parts = watershed(np.zeros(mask.shape, np.uint8), seen, mask=mask, connectivity=2)
    whole, count = label(mask, _EIGHT)
    pairs = np.unique(np.stack([whole[parts > 0], parts[parts > 0]]), axis=1)
    parted = np.bincount(pairs[0], minlength=count + 1) > 1
    if not parted.any():
        return None
    return np.where(parted[whole], parts, 0).astype(np.int32)


def _cells(shape: tuple[int, ...], line: FloatArray, scale: int) -> tuple[IntArray, IntArray]:
    """Cells of the grid under the line, made 4-connected."""
    i, j = np.floor(line * scale + scale / 2).astype(np.int64).T
    slanted = (np.abs(np.diff(i)) == 1) & (np.abs(np.diff(j)) == 1)
    i = np.concatenate([i, i[1:][slanted]])
    j = np.concatenate([j, j[:-1][slanted]])
    within = (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
    return i[within], j[within]
