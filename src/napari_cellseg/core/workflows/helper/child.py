"""The helper process: finishes one image after the other until its input ends; without torch."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

import napari_cellseg
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.image_writer import ImageWriter
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.helper.frames import Answer, Ready, Task, packed, receive, send
from napari_cellseg.core.workflows.helper.work import Writer, finish_image
from napari_cellseg.core.workflows.separate import Predicted

_HALF = 32  # pixels


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Finish what comes in, and answer each, until nothing more comes or nobody listens."""
    with suppress(EOFError, BrokenPipeError):
        setup = receive(stdin)
        rehearse(setup.writer.settings, setup.recipe)
        send(stdout, packed(Ready(napari_cellseg.__file__)))
        while True:
            send(stdout, packed(answer(receive(stdin), setup.writer)))


def answer(task: Task, writer: Writer) -> Answer:
    """Return what became of an image."""
    try:
        return finish_image(task.seen, task.about, writer)
    except (CellsegError, MemoryError) as error:
        return error
    except Exception:  # noqa: BLE001 - a fault, which the batch meets where it can be followed up
        return None


def rehearse(settings: BatchSettings, recipe: Recipe) -> None:
    """Finish a picture of two cells in a temporary folder: no real one waits for an import then."""
    y, x = np.ogrid[-_HALF:_HALF, -_HALF:_HALF]
    cells = y**2 + (np.abs(x) - _HALF // 3) ** 2 < (_HALF // 2) ** 2
    border = (np.abs(x) < 1) & (np.abs(y) > 2) & cells  # in two pieces, whose ends face each other
    maps = {"foreground": _as_map(cells), "contour": _as_map(border)}
    prediction, image = Prediction(maps, "YX"), Image(maps["foreground"], "YX")
    seen = Predicted(image, recipe, prediction, "", 0.0, "")
    about = Finished(key="", state="", recipe="", name="cells", row={})
    with (
        suppress(CellsegError),
        tempfile.TemporaryDirectory(prefix="napari-cellseg-") as text,
        BatchFolder(Path(text)).held(),
    ):
        finish_image(seen, about, ImageWriter(BatchFolder(Path(text)), settings))


def _as_map(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.where(mask, 255, 0).astype(np.uint8)


@contextmanager
def own_streams() -> Generator[tuple[BinaryIO, BinaryIO], None, None]:
    """Give standard input and output to `serve` alone: what others print goes to the errors."""
    with os.fdopen(os.dup(0), "rb") as stdin, os.fdopen(os.dup(1), "wb") as stdout:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        yield stdin, stdout


def main() -> int:
    """Run as a process."""
    with suppress(BrokenPipeError), own_streams() as (stdin, stdout):
        serve(stdin, stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
