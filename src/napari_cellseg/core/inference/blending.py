"""Tiles of probabilities, faded into each other and written row by row as bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.inference.resample import Taps, make_taps, resample
from napari_cellseg.core.inference.tiling import Axis, Grid


class Blender:
    """Puts the tiles of one plane together; holds one row of tiles in memory.

    Parameters
    ----------
    grid
        Tiles, in network pixels.
    targets
        One uint8 plane (Y, X) a map, in image pixels; they are written to.
    """

    def __init__(self, grid: Grid, targets: Sequence[npt.NDArray[np.uint8]]) -> None:
        height, width = targets[0].shape
        self._targets = targets
        self._rows = _Line(grid.rows, height)
        self._columns = _Line(grid.columns, width)
        first, stop = self._rows.extent(0)
        self._first = first
        # 0.5 to begin with: cutting off the fraction at the end then rounds
        self._strip = np.full((len(targets), stop - first, width), 0.5, np.float32)

    def add(self, row: int, column: int, tile: npt.NDArray[np.float32]) -> None:
        """Add a tile of values in [0, 255], ``(K, Y, X)``; `tile` may be overwritten."""
        top, bottom = self._rows.extent(row)
        left, right = self._columns.extent(column)
        part = self._in_image_pixels(row, column, tile)
        rows, columns = self._rows.weights(row), self._columns.weights(column)
        faded = rows < 1  # only a narrow band is: sparing the rest halves the cost of blending
        part[:, faded] *= rows[faded, None]
        faded = columns < 1
        part[..., faded] *= columns[faded]
        self._strip[:, top - self._first : bottom - self._first, left:right] += part

    def _in_image_pixels(
        self, row: int, column: int, tile: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        if self._rows.plain and self._columns.plain:
            top, bottom = self._rows.extent(row)
            left, right = self._columns.extent(column)
            y, x = self._rows.axis.starts[row], self._columns.axis.starts[column]
            return tile[:, top - y : bottom - y, left - x : right - x]
        rows, columns = self._rows.taps(row), self._columns.taps(column)
        block = tile[:, rows.first : rows.stop, columns.first : columns.stop]
        return resample(block.transpose(1, 2, 0), rows, columns).transpose(2, 0, 1)

    def finish_row(self, row: int) -> None:
        """Write the image rows that no later tile touches."""
        last = row + 1 == len(self._rows.axis.starts)
        first, stop = (self._rows.size, self._rows.size) if last else self._rows.extent(row + 1)
        ready = first - self._first
        for target, values in zip(self._targets, self._strip[:, :ready], strict=True):
            target[self._first : first] = values.astype(np.uint8)
        rest = self._strip[:, ready:]
        self._strip = np.full((len(rest), stop - first, rest.shape[2]), 0.5, np.float32)
        self._strip[:, : rest.shape[1]] = rest
        self._first = first


class _Line:
    """One axis of tiles seen in image pixels."""

    def __init__(self, axis: Axis, size: int) -> None:
        self.axis = axis
        self.size = size
        self.plain = axis.length == size
        self._scale = axis.length / size

    def extent(self, tile: int) -> tuple[int, int]:
        """Image pixels ``first, stop`` in which the tile can have weight."""
        start, end = self.axis.span(tile)
        first = max(0, math.ceil(start / self._scale - 0.5))
        return first, min(self.size, math.floor(end / self._scale - 0.5) + 1)

    def _centres(self, tile: int) -> npt.NDArray[np.floating]:
        return (np.arange(*self.extent(tile)) + 0.5) * self._scale

    def weights(self, tile: int) -> npt.NDArray[np.float32]:
        return self.axis.weights(tile, self._centres(tile))

    def taps(self, tile: int) -> Taps:
        start = self.axis.starts[tile]
        stop = min(self.axis.side, self.axis.length - start)
        return make_taps(self._centres(tile) - start, self._scale, 0, stop)
