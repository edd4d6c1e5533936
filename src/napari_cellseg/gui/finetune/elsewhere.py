"""Saves a training as a zip that another computer can run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.boxes.training import TrainingBox
from napari_cellseg.gui.finetune.runs import Order, prepare
from napari_cellseg.gui.job_runner import JobRunner


class Elsewhere(QObject):
    """Asks where to, and writes in a worker."""

    def __init__(self, runner: JobRunner, box: TrainingBox, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner, self._box = runner, box

    def ask(self, order: Order) -> None:
        """Let the user choose a file, and write it."""
        path, _ = QFileDialog.getSaveFileName(
            self._box, "Save the training for another computer", f"{order.name}.zip", "Zip (*.zip)"
        )
        if path:
            self.write(order, Path(path).with_suffix(".zip"))

    def write(self, order: Order, path: Path) -> None:
        """Write data, settings and parent into one zip."""
        job = self._runner.create(lambda: _write(order, path))
        job.progressed.connect(lambda step: self._box.show_message(f"{step.stage}…"))
        job.succeeded.connect(self._on_written)
        job.failed.connect(lambda error: self._box.show_message(str(error)))
        job.start()

    def _on_written(self, path: Path) -> None:
        self._box.show_message(
            f"'{path.name}' is saved. There: napari-cellseg finetune {path.name}. Bring the new "
            "model back with 'napari-cellseg models install', or open it by 'From file…' in the "
            "tab Segment."
        )


def _write(order: Order, path: Path) -> Generator[Progress, None, Path]:
    job = yield from prepare(order)
    try:
        yield Progress("Packing")
        job.pack(path)
    finally:
        with suppress(CellsegError):
            job.remove()
    return path
