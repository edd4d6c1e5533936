"""Load the slow libraries in the background, and find out which device there is."""

from __future__ import annotations

import time
from collections.abc import Generator
from importlib import import_module
from typing import Any

import numpy as np
import pint
from napari.layers import Labels
from pint.registry import LazyRegistry
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.job_runner import JobRunner, LatestJob

_PAUSE = 0.02  # s


class WarmUp(QObject):
    """``told(str)`` is emitted with what is being loaded, then with what is known of the device."""

    told = Signal(str)

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(lambda error: self.told.emit(str(error)))
        self._device = "auto"
        self._started = False

    def start(self) -> None:
        """Load everything once, then describe the device."""
        if not self._started:
            self._started = True
            self.told.emit("Loading libraries in the background…")
            self._jobs.submit(load_libraries, lambda _: self._describe())

    def choose_device(self, device: str) -> None:
        """Describe another device, as soon as the libraries are there."""
        self._device = device
        if self._started and not self._jobs.busy:
            self._describe()

    def stop(self) -> None:
        """Forget what is under way."""
        self._jobs.clear()

    def _describe(self) -> None:
        device = self._device
        self._jobs.submit(lambda: describe_device(device), self.told.emit)


def load_libraries() -> Generator[Progress, None, None]:
    """Import torch and what stands on it, and get the compiled loops ready (in a worker)."""
    yield Progress("Loading libraries")
    import_module("napari_cellseg.core.workflows.segment")
    yield Progress("Preparing the live controls")
    load_layer_parts()
    import_module("napari_cellseg.core.postprocess.postprocessor").warm_up()


def load_layer_parts() -> None:
    """Have napari load what it needs for the first labels; up to seconds, for a worker.

    A layer that nobody sees loads the library of tables, and compiles what colours the numbers.
    """
    load_units()
    Labels(np.zeros((2, 2), np.int32))


def load_units() -> None:
    """Have pint's shared table of units ready, for a worker.

    It makes itself at first use, and to another thread that uses it meanwhile units are missing:
    a person who opens an image just then would get an error, or this worker would. As long as
    nobody has used it, a table that is ready takes its place.
    """
    shared: Any = pint.application_registry
    if isinstance(shared.get(), LazyRegistry):
        ready: Any = pint.UnitRegistry(on_redefinition="raise")
        if isinstance(shared.get(), LazyRegistry):
            shared.set(ready)
    while not vars(shared.get()).get("_initialized", True):
        time.sleep(_PAUSE)


def describe_device(requested: str) -> Generator[Progress, None, str]:
    """Say which device would be used, why, and how much memory it has (in a worker)."""
    yield Progress("Looking for a GPU")
    from napari_cellseg.core.device import choose_device, free_memory

    try:
        choice = choose_device(requested)
    except CellsegError as error:
        return str(error)
    free = free_memory(choice.device)
    memory = f", {free / 2**30:.1f} GB free" if free else ""
    return f"{choice.device}: {choice.reason}{memory}."
