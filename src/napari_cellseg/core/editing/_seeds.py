"""Parts an object into a given number of parts: chooses where their seeds are."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.editing._pieces import FloatArray, fill_from_nearest, part_between
from napari_cellseg.core.editing.edit import Int32Array
from napari_cellseg.core.editing.objects import BoolArray, IntArray

_EIGHT = np.ones((3, 3), bool)
_ROUNDS = 20


def part_into(mask: BoolArray, n: int, height: FloatArray) -> Int32Array:
    """Return parts 1..n, (h, w), of an object of at least `n` pixels; 0 outside of it.

    Parameters
    ----------
    mask
        (h, w): the object. Its pieces count as parts first; crumbs go to the nearest part.
    n
        How many parts.
    height
        (h, w): high inside of a part and low where objects meet.
    """
    from scipy.ndimage import label

    pieces, count = label(mask, _EIGHT)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    parts = np.zeros(mask.shape, np.int32)
    done = 0
    for piece, share in _shares(areas, n):
        own = pieces == piece
        parts[own] = done + _part_piece(own, share, height)[own]
        done += share
    return fill_from_nearest(parts, mask)


def _shares(areas: IntArray, n: int) -> list[tuple[int, int]]:
    """Which pieces (1, 2, ...) are parted into how many, so that the largest part is smallest."""
    order = np.argsort(-areas, kind="stable")[:n]
    room = np.cumsum(areas[order]) - areas[order]  # in the larger ones
    kept = order[(areas[order] >= areas.sum() / (5 * n)) | (room < n)]
    share = np.ones(len(kept), np.int64)
    for _ in range(n - len(kept)):
        share[np.argmax(areas[kept] / share)] += 1
    return [(int(piece) + 1, int(many)) for piece, many in zip(kept, share, strict=True)]


def _part_piece(mask: BoolArray, n: int, height: FloatArray) -> Int32Array:
    if n == 1:
        return mask.astype(np.int32)
    pixels = np.argwhere(mask)
    choices = [_spread(pixels, n)]
    peaks = _peaks(mask, height)
    if len(peaks) >= n:
        choices.append(_highest(peaks, height, n))
    tries = [part_between(mask, seeds, height) for seeds in choices]
    return min(tries, key=lambda made: made[0])[1]


def _peaks(mask: BoolArray, height: FloatArray) -> IntArray:
    """Return the maxima of the smoothed height on the object, (m, 2)."""
    from scipy.ndimage import gaussian_filter
    from skimage.feature import peak_local_max

    depth = np.sqrt(mask.sum() / np.pi)
    smooth = np.where(mask, gaussian_filter(height * mask, max(0.5, 0.08 * depth)), 0)
    found = peak_local_max(smooth, min_distance=1, threshold_abs=0, exclude_border=False)
    return np.asarray(found, np.int64)


def _highest(peaks: IntArray, height: FloatArray, n: int) -> IntArray:
    """Choose `n` peaks that are high and far from each other."""
    tall = height[peaks[:, 0], peaks[:, 1]]
    chosen = [int(np.argmax(tall))]
    apart = np.full(len(peaks), np.inf)
    while len(chosen) < n:
        apart = np.minimum(apart, np.hypot(*(peaks - peaks[chosen[-1]]).T))
        rank = tall * apart
        rank[chosen] = -1
        chosen.append(int(np.argmax(rank)))
    return peaks[chosen]


def _spread(pixels: IntArray, n: int) -> IntArray:
    """Choose `n` different pixels, in the middles of `n` equal shares of all (k-means)."""
    from scipy.spatial import KDTree

    middles = _far_apart(pixels, n).astype(np.float64)
    for _ in range(_ROUNDS):
        nearest = KDTree(middles).query(pixels)[1]
        count = np.bincount(nearest, minlength=n)
        sums = np.stack([np.bincount(nearest, axis, n) for axis in pixels.T], axis=1)
        moved = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], middles)
        if np.allclose(moved, middles, atol=0.1):
            break
        middles = moved
    free = np.ones(len(pixels), bool)
    chosen = []
    for middle in middles:
        away = np.where(free, ((pixels - middle) ** 2).sum(axis=1), np.inf)
        chosen.append(int(np.argmin(away)))
        free[chosen[-1]] = False
    return pixels[chosen]


def _far_apart(pixels: IntArray, n: int) -> IntArray:
    """Choose pixels one after the other, each as far as can be from those before."""
    chosen = [int(np.argmax(((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1)))]
    apart = np.full(len(pixels), np.inf)
    while len(chosen) < n:
        apart = np.minimum(apart, ((pixels - pixels[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(apart)))
    return pixels[chosen]
