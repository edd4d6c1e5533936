"""Antialiased resampling of any part of a plane: every part gives the same pixels as the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Taps:
    """Which source pixels, with which weights, make each output pixel along one axis.

    Attributes
    ----------
    index
        Source pixels (N, K), counted from `first`.
    weight
        Their weights (N, K), adding up to 1.
    first, stop
        The source pixels that are needed are ``first:stop``.
    """

    index: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]
    first: int
    stop: int


def make_taps(centres: npt.NDArray[np.floating], step: float, first: int, stop: int) -> Taps:
    """Return the taps of a triangle filter, bilinear when enlarging and as wide as `step` else.

    Parameters
    ----------
    centres
        Positions (N,) of the output pixels in source pixels; 0.5 is the centre of the first.
    step
        Distance of neighbouring output pixels in source pixels.
    first, stop
        Source pixels that exist; beyond them the filter is cut and renormalised.
    """
    width = max(1.0, step)
    lowest = np.ceil(centres - 0.5 - width).astype(np.intp)
    source = lowest[:, None] + np.arange(int(2 * width) + 1)
    weight = np.clip(1 - np.abs(source + 0.5 - centres[:, None]) / width, 0, None)
    weight[(source < first) | (source >= stop)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    source = np.clip(source, first, stop - 1)
    start = int(source.min())
    return Taps(source - start, weight.astype(np.float32), start, int(source.max()) + 1)


def resample(block: npt.NDArray[np.float32], rows: Taps, columns: Taps) -> npt.NDArray[np.float32]:
    """Resample ``block`` (Y, X, C), which begins at ``rows.first``, ``columns.first``."""
    across = _along_first(block, rows)
    return _along_first(across.swapaxes(0, 1), columns).swapaxes(0, 1)


def _along_first(block: npt.NDArray[np.float32], taps: Taps) -> npt.NDArray[np.float32]:
    total = np.zeros((len(taps.index), *block.shape[1:]), np.float32)
    for k in range(taps.index.shape[1]):
        total += block[taps.index[:, k]] * taps.weight[:, k, None, None]
    return total
