"""What the post-processing knows between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._kernels import Kernels, Runs
from napari_cellseg.core.postprocess.instances import InstanceSource
from napari_cellseg.core.postprocess.removed import Removed

Words = npt.NDArray[np.uint64]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Crop:
    """The part of a picture that is worked on.

    Attributes
    ----------
    shape
        (Y, X) of the whole picture.
    rows, columns
        The part, margin included.
    """

    shape: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Crop:
        """Return the part that is everything."""
        return cls(shape, (0, shape[0]), (0, shape[1]))

    @classmethod
    def around(cls, region: tuple[slice, slice], margin: int, shape: tuple[int, int]) -> Crop:
        """Return a region, (rows, columns), with its margin as far as the picture has it."""
        sides = []
        for side, size in zip(region, shape, strict=True):
            start, stop, _ = side.indices(size)
            sides.append((max(start - margin, 0), max(min(stop + margin, size), 0)))
        return cls(shape, sides[0], sides[1])

    @property
    def size(self) -> tuple[int, int]:
        """(Y, X) of the part."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    @property
    def slices(self) -> tuple[slice, slice]:
        """The part as an index into the whole picture."""
        return slice(*self.rows), slice(*self.columns)

    def cut_sides(self) -> tuple[bool, bool, bool, bool]:
        """Say of top, bottom, left, right whether the picture goes on beyond that side."""
        return (
            self.rows[0] > 0,
            self.rows[1] < self.shape[0],
            self.columns[0] > 0,
            self.columns[1] < self.shape[1],
        )

    def position(self, y: npt.NDArray[np.int64], x: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return row-major positions in the whole picture of pixels given within the part."""
        return (y + self.rows[0]) * self.shape[1] + (x + self.columns[0])


@dataclass(frozen=True, eq=False)
class State:
    """Maps, mask, objects and removals after some step. Steps return a changed copy.

    Attributes
    ----------
    maps
        Probability maps of the part, uint8 (Y, X), by name.
    instances
        Candidates of the whole picture, where a network found objects one by one; else None.
    chosen
        Indices of the candidates that count, the most certain first.
    mask
        Foreground, packed to 64 pixels a word, (Y, ceil(X / 64)).
    labels
        Objects 1..n with a frame of one background pixel, (Y + 2, X + 2).
    areas
        Pixels of each object, (n + 1,); entry 0 is unused.
    order
        Object numbers in the order in which the result counts them.
    dropped
        Objects that a clean-up rule takes away, by rule.
    removed
        Objects that are already gone, by rule.
    derived
        What the split worked out from the mask alone. It stays with the mask, so that the next
        run of the split over the same mask finds it; nothing may use it while the mask changes.
    """

    crop: Crop
    kernels: Kernels
    maps: Mapping[str, npt.NDArray[np.uint8]]
    instances: InstanceSource | None = None
    chosen: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    mask: Words = field(default_factory=lambda: np.zeros((0, 0), np.uint64))
    labels: Labels = field(default_factory=lambda: np.zeros((2, 2), np.int32))
    areas: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    order: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    dropped: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    removed: Mapping[str, Removed] = field(default_factory=dict)
    derived: dict[str, tuple[list[Words], npt.NDArray[np.uint8]]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Columns of the part in pixels."""
        return self.crop.size[1]

    def touching(self, sides: tuple[bool, bool, bool, bool]) -> npt.NDArray[np.bool_]:
        """Say of each object number whether it touches a wanted one of top, bottom, left, right."""
        inner = self.labels[1:-1, 1:-1]
        rims = (inner[0], inner[-1], inner[:, 0], inner[:, -1])
        touches = np.zeros(len(self.areas), bool)
        for rim, wanted in zip(rims, sides, strict=True):
            if wanted:
                touches[rim] = True
        touches[0] = False
        return touches

    def drop(self, rule: str, which: npt.NDArray[np.bool_]) -> State:
        """Return the state with more objects marked; those that another rule took stay its own."""
        which = which.copy()
        which[0] = False
        for numbers in self.dropped.values():
            which[numbers] = False
        return replace(self, dropped={**self.dropped, rule: np.flatnonzero(which)})

    def with_removed(self, rule: str, runs: Runs, which: npt.NDArray[np.bool_]) -> State:
        """Return the state with those components of `runs` noted as removed by `rule`.

        `which` says it of each component, (count + 1,), entry 0 unused.
        """
        chosen = np.flatnonzero(which[runs.component])
        chosen = chosen[np.argsort(runs.component[chosen], kind="stable")]
        lengths = (runs.stop - runs.start)[chosen].astype(np.int64)
        ends = np.cumsum(lengths)
        steps = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        x = np.repeat(runs.start[chosen].astype(np.int64), lengths) + steps
        y = np.repeat(runs.row[chosen].astype(np.int64), lengths)
        areas = np.bincount(runs.component[chosen], lengths, len(which))[which].astype(np.int64)
        bounds = np.concatenate([[0], np.cumsum(areas)])
        gone = Removed(rule, self.crop.shape, self.crop.position(y, x), bounds)
        return replace(self, removed={**self.removed, rule: gone})
