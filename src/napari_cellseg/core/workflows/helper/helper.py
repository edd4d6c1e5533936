"""A batch's side of its helper process: starts it, hands images to it, does without it."""

from __future__ import annotations

import pickle
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import BinaryIO

import numpy as np

import napari_cellseg
from napari_cellseg.core.batch.image_writer import ImageWriter
from napari_cellseg.core.batch.inputs import BatchInput
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.child_process import find_python, processors, start
from napari_cellseg.core.export.registry import EXPORTERS
from napari_cellseg.core.postprocess.registry import STEPS
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.helper.frames import Ready, Setup, Task, packed, receive, send
from napari_cellseg.core.workflows.separate import Predicted, Rescale, Seen

FEWEST = 100
"""Images from which a helper pays. It starts while some 40 small ones are predicted, which that
slows down; what it saves later has made up for it after about 100."""
LARGEST_BYTES = 2**25
"""Image and maps of up to this size are sent; of larger ones nobody wants copies in memory."""
_LOOKED_AT = 16
_LOST = (OSError, EOFError, ValueError, pickle.UnpicklingError)
_NOT_SENT = (pickle.PicklingError, TypeError, AttributeError)


def helper_for(inputs: Sequence[BatchInput], writer: ImageWriter, recipe: Recipe) -> Helper | None:
    """Start a helper for a batch in the background, None if none would be of use."""
    python = find_python()
    if python is None or processors() < 2 or not _own_parts(writer.settings):
        return None
    if len(inputs) < FEWEST or _is_large(inputs):
        return None
    # -P: a file numpy.py in the folder where a batch was started must not be taken for numpy.
    return Helper(
        [python, "-P", "-m", "napari_cellseg.core.workflows.helper.child"], Setup(writer, recipe)
    )


def _is_large(inputs: Sequence[BatchInput]) -> bool:
    """Tell whether most images are too large to be sent; the first few tell for all."""
    sizes = [one.bytes() for one in islice(inputs, _LOOKED_AT)]
    return sum(size > LARGEST_BYTES for size in sizes) > len(sizes) // 2


def _own_parts(settings: BatchSettings) -> bool:
    """Tell whether another process has the same steps and formats: those of this package."""
    parts = [step for _, step in STEPS.items()] + [EXPORTERS[kind] for kind in settings.formats]
    return all(part.__module__.startswith(f"{napari_cellseg.__name__}.") for part in parts)


class Helper:
    """A process that finishes images; may be used from several threads.

    It starts in the background. Until it is ready, while it is at work, and after anything went
    wrong with it, it takes nothing; what it had in hand then comes back undone.

    Parameters
    ----------
    line
        The command that starts it.
    setup
        What it is told first.
    """

    def __init__(self, line: Sequence[str], setup: Setup) -> None:
        self._line = line
        self._talk = threading.Lock()  # one image at a time
        self._change = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = self._closed = False
        self._starter = threading.Thread(
            target=self._start, args=(setup,), name="napari-cellseg-helper", daemon=True
        )
        self._starter.start()

    @property
    def ready(self) -> bool:
        """Whether it takes images."""
        return self._ready

    def finish(self, seen: Seen | Predicted, about: Finished) -> Finished | Rescale | None:
        """Finish an image as `finish_image` does; None if it has to be done here.

        What is returned is not in the ledger yet.

        Raises
        ------
        CellsegError, MemoryError
            As of `finish_image`.
        """
        if not self.ready or not _can_be_sent(seen):
            return None
        if not self._talk.acquire(blocking=False):  # waiting would cost more than doing it here
            return None
        try:
            stdin, stdout = self._pipes()  # unless it was lost meanwhile
            send(stdin, packed(Task(seen, about)))
            found = receive(stdout)
        except _NOT_SENT:
            return None
        except _LOST:
            self._give_up()
            return None
        finally:
            self._talk.release()
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Finished | Rescale) else None

    def close(self) -> None:
        """End the process; nobody may be waiting for it, so that it has nothing to lose."""
        with self._change:
            self._closed = True
        self._give_up()
        self._starter.join()

    def _start(self, setup: Setup) -> None:
        try:
            with self._change:
                if self._closed:
                    return
                self._process = start(self._line)
            stdin, stdout = self._pipes()
            send(stdin, packed(setup))
            # Another version of the package would give other results.
            self._ready = receive(stdout) == Ready(napari_cellseg.__file__)
        except _LOST:
            pass
        if not self._ready:
            self._give_up()

    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ValueError("there is no process")
        return process.stdin, process.stdout  # type: ignore[return-value]

    def _give_up(self) -> None:
        """End the process at once; it writes nothing any more after that."""
        with self._change:
            process, self._process, self._ready = self._process, None, False
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not sent yet cannot be
                    stream.close()


def _can_be_sent(seen: Seen | Predicted) -> bool:
    """Tell whether image and maps lie in memory and are small enough for a second copy."""
    arrays = [seen.image.data, *seen.prediction.maps.values(), *seen.prediction.classes.values()]
    if any(type(array) is not np.ndarray for array in arrays):
        return False
    size: int = seen.image.data.nbytes + seen.prediction.nbytes[0]
    return size <= LARGEST_BYTES
