"""What a person asks of a running training: to pause, to go on, to show the weights of now."""

from __future__ import annotations

import threading
from collections.abc import Callable

_BREATH = 0.1  # s between two looks whether the run was cancelled


class Requests:
    """Wishes from another thread, looked at between two batches."""

    def __init__(self) -> None:
        self._going = threading.Event()
        self._going.set()
        self._preview = threading.Event()

    def ask_preview(self) -> None:
        """Ask for the current weights; asking twice before they come asks once."""
        self._preview.set()

    def take_preview(self) -> bool:
        """Return whether the weights were asked for, and forget it."""
        asked = self._preview.is_set()
        if asked:
            self._preview.clear()
        return asked

    def pause(self) -> None:
        """Ask to wait before the next batch."""
        self._going.clear()

    def go_on(self) -> None:
        """Take `pause` back."""
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether a pause was asked for and not taken back."""
        return not self._going.is_set()

    def wait_while_paused(self, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Block as long as a pause lasts, or until `cancelled` says so.

        Returns
        -------
        Whether there was a pause.
        """
        waited = False
        while not cancelled() and not self._going.wait(_BREATH):
            waited = True
        return waited
