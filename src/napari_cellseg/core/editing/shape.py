"""Change the shape of one object: fill its holes, smooth, erode or grow it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.edit import Box, Edit, changes, padded
from napari_cellseg.core.editing.objects import BoolArray, ObjectIndex
from napari_cellseg.core.errors import EditError


def fill_holes(plane: npt.NDArray[Any], objects: ObjectIndex, object_id: int) -> list[Edit]:
    """Give an object the background that it encloses; objects in its holes stay as they are.

    Parameters
    ----------
    plane
        (Y, X) labels.
    objects
        Its index.
    object_id
        The object.

    Raises
    ------
    EditError
        If there is no such object.
    """
    from scipy.ndimage import binary_fill_holes

    box = objects.require(object_id)
    region = plane[box]
    filled = binary_fill_holes(region == object_id)
    return changes(plane, box, np.where(filled & (region == 0), object_id, region))


def smooth(
    plane: npt.NDArray[Any], objects: ObjectIndex, object_id: int, radius: float = 2.0
) -> list[Edit]:
    """Even out an object's outline; its area stays nearly the same, and it never vanishes.

    The object is blurred, and of the pixels that are its own or background it gets the brightest,
    as many as it had. Neighbours count as unknown in the blur (normalised convolution, Knutsson &
    Westin 1993), so that an outline shared with one stays where it is. Pieces that come off are
    dropped, the smallest first.

    Parameters
    ----------
    plane, objects, object_id
        See `fill_holes`.
    radius
        Standard deviation of the blur in pixels, above 0: details smaller than it go.

    Raises
    ------
    EditError
        If there is no such object, or the radius is not above 0.
    """
    from scipy.ndimage import gaussian_filter

    if not (math.isfinite(radius) and radius > 0):
        raise EditError(f"An outline cannot be smoothed by {radius} pixels; choose more than 0.")
    box, own, free = _surroundings(plane, objects, object_id, math.ceil(3 * radius))
    inside = gaussian_filter(own.astype(np.float64), radius, truncate=3, mode="nearest")
    known = gaussian_filter((own | free).astype(np.float64), radius, truncate=3, mode="nearest")
    share = np.where(own | free, inside / np.maximum(known, 1e-12), -1.0)
    area = np.count_nonzero(own)
    least = np.partition(share, share.size - area, axis=None)[share.size - area]
    # Pixels that are equal but for rounding come and go together: symmetry is kept.
    rounder = share >= least - 1e-9
    return _reshaped(plane, box, object_id, own, largest_pieces(rounder, _pieces(own)))


def grow(
    plane: npt.NDArray[Any], objects: ObjectIndex, object_id: int, pixels: float = 1
) -> list[Edit]:
    """Widen an object on all sides, over background only.

    Parameters
    ----------
    plane, objects, object_id
        See `fill_holes`.
    pixels
        How far, 0 or more. What lies behind a neighbour is not reached.

    Raises
    ------
    EditError
        If there is no such object, or `pixels` is below 0.
    """
    from scipy.ndimage import binary_propagation, distance_transform_edt

    _check_pixels(pixels)
    box, own, free = _surroundings(plane, objects, object_id, math.ceil(pixels))
    near = free & (distance_transform_edt(~own) <= pixels)
    return _reshaped(plane, box, object_id, own, binary_propagation(own, mask=own | near))


def erode(
    plane: npt.NDArray[Any], objects: ObjectIndex, object_id: int, pixels: float = 1
) -> list[Edit]:
    """Narrow an object on all sides but where the image cuts it; what it loses is background.

    Parameters
    ----------
    plane, objects, object_id
        See `fill_holes`.
    pixels
        How far, 0 or more.

    Raises
    ------
    EditError
        If there is no such object, `pixels` is below 0, or nothing would be left.
    """
    from scipy.ndimage import distance_transform_edt

    _check_pixels(pixels)
    box, own, _ = _surroundings(plane, objects, object_id, 1)
    if own.all():  # it fills the whole image, and has no edge
        return []
    left = distance_transform_edt(own) > pixels
    if not left.any():
        raise EditError(
            f"Nothing would be left of object {object_id}; take fewer pixels off, or delete it."
        )
    return _reshaped(plane, box, object_id, own, left)


def largest_pieces(mask: BoolArray, count: int) -> BoolArray:
    """Keep the `count` largest pieces of a mask (Y, X); pieces that share a corner are one."""
    from scipy.ndimage import label

    pieces, found = label(mask, np.ones((3, 3), bool))
    if found <= count:
        return mask
    sizes = np.bincount(pieces.ravel())[1:]
    kept = np.argsort(-sizes, kind="stable")[:count] + 1
    return np.asarray(np.isin(pieces, kept))


def _pieces(mask: BoolArray) -> int:
    from scipy.ndimage import label

    return int(label(mask, np.ones((3, 3), bool))[1])


def _surroundings(
    plane: npt.NDArray[Any], objects: ObjectIndex, object_id: int, by: int
) -> tuple[Box, BoolArray, BoolArray]:
    """Return the box `by` pixels around an object, its pixels there, and the background."""
    box = padded(objects.require(object_id), by, plane.shape)
    return box, plane[box] == object_id, plane[box] == 0


def _reshaped(
    plane: npt.NDArray[Any], box: Box, object_id: int, before: BoolArray, after: BoolArray
) -> list[Edit]:
    labels = np.where(before, 0, plane[box])
    return changes(plane, box, np.where(after, object_id, labels))


def _check_pixels(pixels: float) -> None:
    if not (math.isfinite(pixels) and pixels >= 0):
        raise EditError(f"An outline cannot be moved by {pixels} pixels; choose 0 or more.")
