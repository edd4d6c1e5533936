"""How a plane is cut into overlapping tiles and put together again: pure geometry.

The side of the tiles is fitted to the plane, so that they cover it with no more overlap than the
seams need: 2 x 2 tiles for a plane a little larger than a tile, never 3 x 3 mostly redundant ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core.components import Params

STRIDE = 32
"""Sides are multiples of the deepest stride of the networks."""

CELL = 64
"""Tiles start at multiples of this."""

MOST_COMPUTED = 1.2
"""Pixels that the network may compute for each pixel of a large image."""


class Tiling(Params):
    """How large a piece the network sees at once."""

    tile: int = Field(
        1664,
        ge=128,
        le=8192,
        title="Tile side",
        description=(
            "Largest side of a tile; the actual side is fitted to the image. Smaller tiles need "
            "less memory."
        ),
        json_schema_extra={"unit": "px"},
    )
    margin: int = Field(
        64,
        ge=16,
        le=512,
        title="Margin",
        description=(
            "Context around each tile: neighbouring tiles overlap by twice as much. It is halved "
            "where large tiles would make the network compute more than 1.2 times the image."
        ),
        json_schema_extra={"unit": "px"},
    )
    batch: int | None = Field(
        None,
        ge=1,
        le=256,
        title="Batch",
        description="Tiles computed at once; empty chooses by device and tile side.",
    )


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis of `length` pixels.

    Attributes
    ----------
    length
        Pixels of the plane along this axis.
    side
        Pixels of a tile; the last tile may reach beyond the plane.
    starts
        First pixel of each tile.
    margin
        Width of the cross-fade between neighbours, centred in their overlap.
    """

    length: int
    side: int
    starts: tuple[int, ...]
    margin: int

    def seams(self, tile: int) -> tuple[float, float]:
        """Return the centres of the overlaps before and after a tile (the ends where none is)."""
        before, after = 0.0, float(self.length)
        if tile > 0:
            before = (self.starts[tile] + self.starts[tile - 1] + self.side) / 2
        if tile + 1 < len(self.starts):
            after = (self.starts[tile + 1] + self.starts[tile] + self.side) / 2
        return before, after

    def span(self, tile: int) -> tuple[float, float]:
        """Return from where to where a tile has weight."""
        before, after = self.seams(tile)
        fade = self.margin / 2
        return max(0.0, before - fade), min(float(self.length), after + fade)

    def weights(self, tile: int, positions: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return the weight of a tile at pixel positions (0.5 is the centre of the first pixel).

        Neighbours fade into each other linearly; at every position the weights of all tiles
        add up to 1. The outermost pixels of a tile, which the padding within the network has
        touched, have no weight.
        """
        before, after = self.seams(tile)
        weights = np.ones(positions.shape)
        if tile > 0:
            weights *= np.clip((positions - before) / self.margin + 0.5, 0, 1)
        if tile + 1 < len(self.starts):
            weights *= np.clip((after - positions) / self.margin + 0.5, 0, 1)
        return weights.astype(np.float32)


@dataclass(frozen=True)
class Grid:
    """Tiles of a plane: every pair of a row and a column, row by row."""

    rows: Axis
    columns: Axis

    @property
    def shape(self) -> tuple[int, int]:
        """Sides of a tile."""
        return self.rows.side, self.columns.side

    @property
    def tiles(self) -> list[tuple[int, int]]:
        """Row and column of each tile, row by row."""
        return list(product(range(len(self.rows.starts)), range(len(self.columns.starts))))

    @property
    def pixels(self) -> int:
        """Pixels that the network computes."""
        return len(self.tiles) * self.rows.side * self.columns.side


def fit_grid(shape: tuple[int, int], tiling: Tiling) -> Grid:
    """Cut a plane of `shape` (Y, X) into tiles.

    With the default settings the network computes at most 1.2 times the pixels of any plane whose
    sides are at least 1024.
    """
    return Grid(_fit_axis(shape[0], tiling), _fit_axis(shape[1], tiling))


def _fit_axis(length: int, tiling: Tiling) -> Axis:
    if length <= tiling.tile // STRIDE * STRIDE:
        return Axis(length, _round_up(length, STRIDE), (0,), tiling.margin)
    if tiling.tile >= 1024:
        for margin in (tiling.margin, tiling.margin // 2):
            fewest = _several_tiles(length, tiling.tile, margin)
            choices = [fewest, _several_tiles(length, tiling.tile, margin, len(fewest.starts) + 1)]
            cheap = [a for a in choices if (len(a.starts) * a.side / length) ** 2 <= MOST_COMPUTED]
            if cheap:
                return cheap[-1]  # the smaller side needs less memory
    return _several_tiles(length, tiling.tile, tiling.margin)


def _several_tiles(length: int, tile: int, margin: int, count: int = 2) -> Axis:
    whole, largest = _round_up(length, STRIDE), max(2 * CELL, tile // CELL * CELL)
    overlap = min(_round_up(2 * margin, STRIDE), largest // 2)
    # The fewest tiles that reach, then the smallest side with which so many reach. They start on
    # whole cells: each pixel meets the same phase of strided layers in any tiling.
    count = max(count, -(-(whole - overlap) // ((largest - overlap) // CELL * CELL)))
    side = overlap + CELL
    while (count - 1) * ((side - overlap) // CELL) * CELL + side < whole:
        side += STRIDE
    cells = -(-(whole - side) // CELL)
    starts = tuple(i * cells // (count - 1) * CELL for i in range(count))
    return Axis(length, side, starts, overlap // 2)


def _round_up(pixels: int, unit: int) -> int:
    return -(-pixels // unit) * unit
