"""Labels as they are at one moment, copied later by the worker that needs them."""

from __future__ import annotations

from threading import Lock
from weakref import WeakSet

import numpy as np

from napari_cellseg.session.corrections.delta import Delta, Int32Array


class Frozen:
    """What labels held when this was made, though they go on changing.

    A copy of a large stack takes longer than the window may stand still, so it is made by whoever
    asks first, in any thread. Until then each change is noted here before it is made, and the
    copy has it taken back.

    Parameters
    ----------
    live
        int32 (T?, Z?, Y, X), a view in any order; written to only after `note`, and only in the
        thread that calls it.
    """

    def __init__(self, live: Int32Array) -> None:
        self._live: Int32Array | None = live
        self._later: list[Delta] = []
        self._copy: Int32Array | None = None
        self._lock = Lock()  # of the copying; never held by `note`

    @classmethod
    def of(cls, labels: Int32Array) -> Frozen:
        """Return labels that nobody writes to as they are."""
        found = cls(labels)
        found._settle(labels)
        return found

    @property
    def labels(self) -> Int32Array:
        """C-contiguous int32, not to be written to."""
        with self._lock:
            if self._copy is None:
                copy = np.array(self._live, dtype=np.int32, order="C")
                # A change that is noted from here on is not in the copy.
                for pixels in reversed(self._later):
                    pixels.reversed.write(copy)
                self._settle(copy)
            return self._copy  # type: ignore[return-value]  # it is there now

    def note(self, pixels: Delta) -> None:
        """Learn that the labels are about to change, or just have."""
        if self._copy is None:
            self._later.append(pixels)

    def _settle(self, copy: Int32Array) -> None:
        view = copy.view()
        view.flags.writeable = False
        self._copy, self._live = view, None
        self._later.clear()


class Freezer:
    """Freezes labels at most once for each version, and tells the frozen ones of changes."""

    def __init__(self) -> None:
        self._last: tuple[int, Frozen] | None = None
        self._watching: WeakSet[Frozen] = WeakSet()

    def frozen(self, labels: Int32Array, version: int) -> Frozen:
        """Return the present `labels`."""
        if self._last is None or self._last[0] != version:
            found = Frozen(labels)
            self._watching.add(found)
            self._last = (version, found)
        return self._last[1]

    def know(self, labels: Int32Array, version: int) -> None:
        """Take `labels`, which nobody writes to, for those of a version to come."""
        self._last = (version, Frozen.of(labels))

    def note(self, pixels: Delta) -> None:
        """Learn that the present labels are about to change, or just have."""
        for frozen in self._watching:
            frozen.note(pixels)

    def leave(self) -> None:
        """Learn that other labels are the present ones: the former stay as they are."""
        self._watching.clear()
