"""Writes labels and measurements in the formats of core/export."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.wording import counted
from napari_cellseg.gui.boxes.export import ExportBox
from napari_cellseg.gui.boxes.measure import MeasureBox
from napari_cellseg.gui.correct.desk import with_decisions
from napari_cellseg.gui.correct.journals import note_saved
from napari_cellseg.gui.job_runner import Job, JobRunner, single_step
from napari_cellseg.gui.measure.measuring import Measuring
from napari_cellseg.gui.measure.orders import Measured, measure_fast
from napari_cellseg.gui.measure.snapshot import Snapshot, attributes_of
from napari_cellseg.gui.measure.subject import Subject

_FIRST = "label-tiff"
_TABLES = ("measurements-csv", "measurements-parquet")  # formats that hold nothing else
_FORBIDDEN = '<>:"/\\|?*'  # in names of files, on one system or another
_LONGEST = 100  # letters of a proposed name


@dataclass(frozen=True, eq=False)
class ExportOrder:
    """What to write, and where."""

    format: str
    params: Params
    path: Path
    snapshot: Snapshot
    measured: Measured | None
    settings: MeasureSettings


class Export(QObject):
    """Asks where to, and writes in a worker."""

    def __init__(
        self,
        subject: Subject,
        measuring: Measuring,
        runner: JobRunner,
        box: ExportBox,
        choices: MeasureBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._subject, self._measuring = subject, measuring
        self._runner, self._box, self._choices = runner, box, choices
        self._formats: dict[str, Any] = {}
        self._job: Job | None = None
        self._folder: Path | None = None
        box.format_chosen.connect(self.choose)
        box.export_requested.connect(self.ask)
        box.cancel_requested.connect(self.cancel)

    @property
    def running(self) -> bool:
        """Whether a file is being written."""
        return self._job is not None

    def wake(self) -> None:
        """Look for the formats, once; their libraries take a second to load."""
        if not self._formats:
            job = self._runner.create(single_step(_formats))
            job.succeeded.connect(self._on_formats)
            job.failed.connect(lambda error: self._box.show_message(str(error)))
            job.start()

    def _on_formats(self, formats: dict[str, Any]) -> None:
        self._formats = formats
        titles = sorted(((name, kind.title) for name, kind in formats.items()), key=lambda x: x[1])
        self._box.show_formats(titles, _FIRST)
        self.choose(self._box.format)

    def choose(self, name: str) -> None:
        """Show the settings of a format; those of a plane are of the shown one."""
        kind = self._formats[name].Params
        here = dict(zip(self._plane_axes(), self._subject.index(), strict=True))
        params = kind(**{k: v for k, v in here.items() if k in kind.model_fields})
        hidden = {"t", "z"} - set(here)
        images = self._subject.images.chosen
        if not images or images[0].layer.rgb or "C" not in images[0].axes:
            hidden.add("channel")
        self._box.show_settings(params, hidden)
        self._box.show_message("")

    def _plane_axes(self) -> list[str]:
        return [axis.lower() for axis in "TZ" if axis in self._subject.axes]

    def ask(self) -> None:
        """Let the user choose a file, and write it."""
        layer, name = self._subject.layer, self._box.format
        if layer is None or name not in self._formats:
            return
        kind = self._formats[name]
        start = self._start_folder() / f"{file_name(layer.name)}{kind.suffix}"
        text, _ = QFileDialog.getSaveFileName(
            self._box, f"Export: {kind.title}", str(start), f"{kind.title} (*{kind.suffix})"
        )
        if not text:
            return
        path = Path(text)
        if not path.name.lower().endswith(kind.suffix):
            path = path.with_name(path.name + kind.suffix)
            if path.exists() and not self._may_replace(path):
                return
        self.write(path)

    def _start_folder(self) -> Path:
        if self._folder is not None and self._folder.is_dir():
            return self._folder
        layer = self._subject.layer
        sources = [one.layer.source.path for one in self._subject.images.chosen]
        if layer is not None:
            sources.insert(0, layer.source.path)
        found = (Path(path).parent for path in sources if path)
        return next((folder for folder in found if folder.is_dir()), Path.home())

    def _may_replace(self, path: Path) -> bool:
        yes = QMessageBox.StandardButton.Yes
        text = f"'{path.name}' exists already. Replace it?"
        answer = QMessageBox.question(self._box, "Export", text)
        return bool(answer == yes)

    def write(self, path: Path) -> None:
        """Write the labels in the chosen format."""
        layer, name = self._subject.layer, self._box.format
        if layer is None or self._job is not None:
            return
        try:
            snapshot = self._subject.snapshot()
        except CellsegError as error:
            self._box.show_message(str(error))
            return
        if snapshot is None:
            return
        self._folder = path.parent
        metadata = with_decisions(layer.data, attributes_of(layer))["metadata"]
        snapshot = replace(snapshot, attributes={**snapshot.attributes, "metadata": metadata})
        params = self._box.form.params if self._box.form else self._formats[name].Params()
        order = ExportOrder(
            name, params, path, snapshot, self._measuring.fresh, self._choices.settings
        )
        data = layer.data
        self._job = job = self._runner.create(lambda: write(order))
        job.progressed.connect(lambda step: self._box.show_message(f"{step.stage}…"))
        job.succeeded.connect(lambda count: self._on_written(order, data, count))
        job.failed.connect(lambda error: self._box.show_message(str(error)))
        job.cancelled.connect(lambda: self._box.show_message("Cancelled; nothing was written."))
        job.finished.connect(self._on_finished)
        self._box.show_running(True)
        job.start()

    def _on_written(self, order: ExportOrder, data: Any, count: int) -> None:
        if order.format == _FIRST:
            note_saved(data)  # the file holds all that was corrected
        objects = counted(count, "object")
        self._box.show_message(f"{objects} written to '{order.path}'.")

    def _on_finished(self) -> None:
        self._job = None
        self._box.show_running(False)

    def cancel(self) -> None:
        """Stop before the file is written; once it is, it is written whole."""
        if self._job is not None:
            self._job.cancel()


def write(order: ExportOrder) -> Generator[Progress, None, int]:
    """Write a file; for a worker.

    Returns
    -------
    Number of objects.

    Raises
    ------
    CellsegError
        If the format cannot hold the labels, or the disk takes no file.
    """
    from napari_cellseg.core.export.registry import EXPORTERS

    yield Progress("Reading the labels")
    labels, measured = order.snapshot.labels(), order.measured
    if measured is None and order.format in _TABLES:
        measured = yield from measure_fast(order.snapshot, order.settings)
    if measured is not None:
        table: dict[str, Any] | None = dict(measured.table.columns)
    else:
        table = known_table(labels, order.snapshot)
    yield Progress("Writing")
    images = order.snapshot.images
    exporter = EXPORTERS[order.format](order.params)
    exporter.write(labels, order.path, images[0] if images else None, table)
    return labels.n_objects


def known_table(labels: Any, snapshot: Snapshot) -> dict[str, Any] | None:
    """Return what is known of the objects without measuring them, None if nothing is."""
    import numpy as np

    if snapshot.decisions is None:
        return None
    ids = np.unique(labels.data)
    ids = ids[ids > 0]
    columns = snapshot.decisions.columns(ids)
    return {"label": ids, **columns} if columns else None


def file_name(title: str) -> str:
    """Return a name for a file that all systems take."""
    clean = "".join("_" if c in _FORBIDDEN or ord(c) < 32 else c for c in title)
    return clean.strip(" .")[:_LONGEST] or "labels"


def _formats() -> dict[str, Any]:
    from napari_cellseg.core.export.registry import EXPORTERS

    return dict(EXPORTERS.items())
