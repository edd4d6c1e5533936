"""Chooses the compiled kernels or their plain numpy twins; both give identical results."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Labels = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """Horizontal runs of a mask in raster order, and the connected component of each.

    Attributes
    ----------
    row, start, stop
        Row, first column, and column after the last, of each run.
    component
        1..count for each run; components are numbered by their first pixel in raster order.
    """

    row: npt.NDArray[np.int32]
    start: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int32]
    component: npt.NDArray[np.int32]
    count: int

    def areas(self) -> Counts:
        """Return the pixels of each component, (count + 1,); entry 0 is 0. Only to be read."""
        return self._areas

    @cached_property
    def _areas(self) -> Counts:
        lengths = self.stop - self.start
        areas = np.bincount(self.component, lengths, self.count + 1).astype(np.int64)
        areas.flags.writeable = False
        return areas

    def first(self) -> Counts:
        """Return the index of the first run of each component, (count + 1,); entry 0 is unused."""
        found = np.zeros(self.count + 1, np.int64)
        found[self.component[::-1]] = np.arange(len(self.component))[::-1]
        return found


class Kernels(Protocol):
    """The loops over pixels. Words hold 64 pixels each; labels have a frame of one pixel."""

    def components(self, words: Words, width: int, diagonal: bool) -> Runs:
        """Find connected components, 8-connected if `diagonal`, else 4-connected."""

    def paint(self, labels: Labels, words: Words, runs: Runs, values: Labels) -> None:
        """Write ``values[component]`` where it is positive along the runs; set bits in `words`."""

    def spread(
        self, labels: Labels, free: Words, done: Words, areas: Counts, rounds: int, octagon: bool
    ) -> None:
        """Let all objects grow into the `free` pixels, in synchronous rounds, until none can.

        A pixel that several objects reach in the same round goes to the lowest number. A round
        reaches the 8 neighbours; with `octagon` odd rounds reach only the 4 nearest. `rounds` 0
        means no limit. Updates `labels`, `done` (labelled pixels) and `areas`; uses up `free`.
        """

    def owners(self, labels: Labels, runs: Runs) -> Labels:
        """Return the one object that encloses each background component, else 0, (count + 1,)."""

    def peaks(self, image: npt.NDArray[np.uint8], runs: Runs) -> Counts:
        """Return the greatest value of `image` in each component, (count + 1,)."""

    def finish(
        self, labels: Labels, table: Labels, starts: Counts, out: Labels, pixels: Counts
    ) -> None:
        """Write ``table[labels]`` to `out`, and collect the pixels of objects whose entry is < 0.

        Entry -k writes 0 and sends the row-major positions to `pixels`, from ``starts[k]`` on.
        """


_LARGE = 4 * 1024 * 1024  # pixels from which a compilation of seconds is worth its wait
_compiled: Any = None
_broken = False
_lock = threading.Lock()


def load_compiled() -> Kernels | None:
    """Import and compile the fast kernels (seconds, once a machine); None where numba is absent."""
    global _compiled, _broken
    with _lock:
        if _compiled is None and not _broken:
            try:
                module = importlib.import_module(f"{__name__}.compiled")
                module.compile_all()
            except (ImportError, RuntimeError):  # no numba, or nowhere to keep compiled code
                _broken = True
            else:
                _compiled = module
    return _compiled  # type: ignore[no-any-return]


def choose(pixels: int, compiled: bool | None = None) -> Kernels:
    """Return the kernels to use for a picture of so many pixels.

    The plain ones serve small pictures until the compiled ones are ready, so that nobody waits
    for a compiler. `compiled` True or False insists.
    """
    fast = _compiled if compiled is None and pixels < _LARGE else None
    if compiled or (compiled is None and pixels >= _LARGE):
        fast = load_compiled()
    if fast is not None:
        return fast  # type: ignore[no-any-return]
    return importlib.import_module(f"{__name__}.plain")
