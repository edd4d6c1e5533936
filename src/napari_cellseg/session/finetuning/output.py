"""What a process writes: whole lines of its output and the end of its errors, without blocking."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 20
_KEPT_ERRORS = 40  # lines
_DRAIN = 0.2  # s that the last words of an ended process may take

if sys.platform == "win32":
    import _winapi
    import msvcrt

    _LOOK_AGAIN = 0.02

    def _readable(descriptors: list[int], seconds: float) -> list[int]:
        # Windows has no select for pipes.
        end = time.monotonic() + seconds
        while True:
            ready = [one for one in descriptors if _has_news(one)]
            if ready or time.monotonic() >= end:
                return ready
            time.sleep(_LOOK_AGAIN)

    def _has_news(descriptor: int) -> bool:
        try:
            return _winapi.PeekNamedPipe(msvcrt.get_osfhandle(descriptor), 0)[0] > 0
        except OSError:
            return True  # its other end is closed, as reading will tell

else:
    import selectors

    def _readable(descriptors: list[int], seconds: float) -> list[int]:
        # Not select: it takes no descriptors above 1023, and napari may have many files open.
        with selectors.DefaultSelector() as selector:
            for one in descriptors:
                selector.register(one, selectors.EVENT_READ)
            return [key.fd for key, _ in selector.select(seconds)]


class ProcessOutput:
    """Reads both streams of a process, so that it never waits for the other to be read.

    Parameters
    ----------
    process
        Started with unbuffered pipes.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None or process.stderr is None:
            raise ValueError("the process has no pipes")
        self._process = process
        self._out = process.stdout.fileno()
        self._begun = {self._out: b"", process.stderr.fileno(): b""}
        self._open = list(self._begun)
        self._tail: deque[str] = deque(maxlen=_KEPT_ERRORS)

    @property
    def errors(self) -> list[str]:
        """The last lines that are not empty of standard error."""
        return list(self._tail)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return not self._open

    def read(self, seconds: float) -> list[bytes]:
        """Return whole lines of standard output, as soon as there are any, or after `seconds`.

        A stream that a process left open to one that it had started counts as ended with it.
        """
        gone = self._process.poll() is not None
        ready = _readable(self._open, min(seconds, _DRAIN) if gone else seconds)
        if gone and not ready:
            self._open.clear()
        lines = []
        for one in ready:
            lines += self._lines(one)
        return lines

    def _lines(self, descriptor: int) -> list[bytes]:
        text = os.read(descriptor, _CHUNK)
        if not text:
            self._open.remove(descriptor)
        *whole, begun = (self._begun[descriptor] + (text or b"\n")).split(b"\n")
        # No line of ours is that long: somebody writes bytes into the stream.
        self._begun[descriptor] = begun[-_LONGEST_LINE:]
        if descriptor == self._out:
            return whole
        texts = (line.decode(errors="replace").split("\r")[-1].strip() for line in whole)
        self._tail.extend(text for text in texts if text)
        return []
