"""How long a window answers nobody: the longest gap between two ticks of its event loop."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from qtpy.QtCore import QEventLoop, Qt, QTimer

TICK_MS = 5
_CHECK_MS = 20  # between two looks at whether something has ended


@dataclass(frozen=True)
class Gap:
    """Time in which the event loop did not come round.

    Attributes
    ----------
    start
        When it began, as of ``time.perf_counter``.
    wall
        Its length in seconds.
    cpu
        What the window's own thread computed in it, in seconds. Only this is the doing of the
        program: the rest is waiting, mostly for a processor that others use.
    collecting
        Of that, the seconds in which Python looked through all its objects for garbage. It does
        so now and then, whatever happens to be done just then.
    """

    start: float
    wall: float
    cpu: float
    collecting: float

    @property
    def computed(self) -> float:
        """Seconds that the window's thread computed, without those."""
        return self.cpu - self.collecting


class Stalls:
    """Notes gaps from ``with`` on; made and used in the thread of the window."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._on_tick)
        self._last = (0.0, 0.0)
        self._collecting = self._began = 0.0
        self._thread = threading.get_ident()

    def __enter__(self) -> Self:
        self._last = (time.perf_counter(), time.thread_time())
        self._timer.start()
        gc.callbacks.append(self._on_collection)
        return self

    def __exit__(self, *_: object) -> None:
        self._on_tick()
        self._timer.stop()
        gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, about: dict[str, int]) -> None:
        if about["generation"] < 2 or threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._collecting += time.thread_time() - self._began

    def _on_tick(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        start, cpu = self._last
        self._last = now
        self.gaps.append(Gap(start, now[0] - start, now[1] - cpu, self._collecting))
        self._collecting = 0.0

    @property
    def longest(self) -> Gap:
        """The gap in which the window's thread computed longest."""
        return max(self.gaps, key=lambda gap: gap.computed)


def wait(until: Callable[[], bool], seconds: float = 900) -> None:
    """Let the event loop run until something holds.

    Raises
    ------
    TimeoutError
        If it takes too long.
    """
    loop, check, end = QEventLoop(), QTimer(), time.monotonic() + seconds
    check.timeout.connect(lambda: loop.quit() if until() or time.monotonic() > end else None)
    check.start(_CHECK_MS)
    loop.exec()
    check.stop()
    if not until():
        raise TimeoutError(f"the window was not done after {seconds:g} s")


def rest(milliseconds: int) -> None:
    """Let the event loop run for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()
