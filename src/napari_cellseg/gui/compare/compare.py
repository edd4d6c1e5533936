"""Compares the labels with other ones: scores, a layer of errors, a report."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_cellseg.core.agreement.object_errors import ErrorSettings
from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.errors import CellsegError, DataError
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.boxes.compare import CompareBox
from napari_cellseg.gui.compare.curve import ErrorCurve
from napari_cellseg.gui.compare.errors import ErrorTour
from napari_cellseg.gui.conversion import guess_label_axes
from napari_cellseg.gui.correct.desk import bare
from napari_cellseg.gui.job_runner import Job, JobRunner, single_step
from napari_cellseg.gui.measure.export import file_name
from napari_cellseg.gui.measure.place import part_below
from napari_cellseg.gui.measure.snapshot import Snapshot, attributes_of, data_of
from napari_cellseg.gui.measure.subject import Subject

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.agreement import Report

_HTML = "Web page (*.html)"


@dataclass(frozen=True, eq=False)
class CompareOrder:
    """What is compared with what."""

    labels: Snapshot
    reference: Snapshot | Path
    name: str
    settings: ErrorSettings


class Compare(QObject):
    """Compares in a worker and shows what was found."""

    def __init__(
        self, subject: Subject, runner: JobRunner, box: CompareBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._subject, self._runner, self._box = subject, runner, box
        self._files: list[Path] = []
        self._job: Job | None = None
        self.report: Report | None = None
        self.tour = ErrorTour(subject, box.results, self)
        self.curve = ErrorCurve(subject.viewer, runner, box.results.curve, self)
        box.file_requested.connect(self.ask_file)
        box.compare_requested.connect(self.start)
        box.cancel_requested.connect(self.cancel)
        box.results.report_requested.connect(self.ask_report)
        subject.listed.connect(self._on_listed)
        subject.changed.connect(self._on_subject)

    @property
    def running(self) -> bool:
        """Whether anything is being compared."""
        return self._job is not None

    def wake(self) -> None:
        """List what to compare with."""
        self._on_listed()

    def sleep(self) -> None:
        """Leave the viewer alone; the layer of errors stays."""
        self.tour.no_frame()

    def follow_theme(self) -> None:
        """Take the colours of another theme."""
        self.curve.draw()

    # With what

    def _on_listed(self, chosen: Any = None) -> None:
        layers = [one for one in self._subject.choices() if one is not self._subject.layer]
        references = [(one.name, one) for one in layers]
        references += [(path.name, path) for path in self._files]
        self._box.show_references(references, chosen or self._box.reference)

    def _on_subject(self) -> None:
        self.cancel()
        self.report = None
        self.tour.show(None)
        self._box.results.show_result(None)
        self._box.show_message("")
        self._on_listed()

    def ask_file(self) -> None:
        """Let the user choose a file to compare with."""
        text, _ = QFileDialog.getOpenFileName(self._box, "Compare with a file of labels")
        if text:
            self.add_file(Path(text))

    def add_file(self, path: Path) -> None:
        """Choose a file to compare with."""
        known = next((one for one in self._files if one == path), None)
        if known is None:
            known = path
            self._files.append(path)
        self._on_listed(known)

    # The comparison

    def start(self) -> None:
        """Compare the labels with the chosen reference."""
        reference, layer = self._box.reference, self._subject.layer
        if reference is None or layer is None or self._job is not None:
            return
        try:
            labels = self._subject.snapshot()
            other = reference if isinstance(reference, Path) else self._part_of(layer, reference)
        except CellsegError as error:
            self._box.show_message(str(error))
            return
        if labels is None:
            return
        order = CompareOrder(labels, other, layer.name, self._box.settings)
        self._job = job = self._runner.create(lambda: compare(order))
        job.progressed.connect(self._box.show_progress)
        job.succeeded.connect(lambda report: self._on_compared(layer, report))
        job.failed.connect(lambda error: self._box.show_message(str(error)))
        job.finished.connect(lambda: self._on_finished(job))
        self._box.show_message("")
        self._box.show_running(True)
        job.start()

    def _part_of(self, layer: LabelsLayer, reference: LabelsLayer) -> Snapshot:
        """Return the part of a reference on which the labels lie, else the whole."""
        reference = bare(reference)
        axes = guess_label_axes(reference)
        attributes = {**attributes_of(reference), "multiscale": False}
        box = part_below(reference, axes, layer, self._subject.axes)
        return Snapshot(data_of(reference, box, axes), attributes)

    def _on_compared(self, layer: LabelsLayer, report: Report) -> None:
        if layer is not self._subject.layer:
            return
        self.report = report
        self._box.results.show_result(report.result)
        self.tour.show(report.result.images[0])
        self.curve.show(report.result.summary)

    def _on_finished(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._box.show_running(False)

    def cancel(self) -> None:
        """Stop; nothing is shown."""
        if self._job is not None:
            self._job.cancel()
            self._job = None
            self._box.show_running(False)

    # The report

    def ask_report(self) -> None:
        """Let the user choose a file, and write the report."""
        if self.report is None:
            return
        name = f"{file_name(self.report.labels)} report.html"
        text, _ = QFileDialog.getSaveFileName(self._box, "Save the report", name, _HTML)
        if text:
            path = Path(text)
            self.save_report(path if path.suffix else path.with_suffix(".html"))

    def save_report(self, path: Path) -> None:
        """Write the report."""
        report = self.report
        if report is None:
            return
        job = self._runner.create(single_step(lambda: report.save(path)))
        job.succeeded.connect(lambda _: self._box.show_message(f"Report written to '{path}'."))
        job.failed.connect(lambda error: self._box.show_message(str(error)))
        self._box.show_message("Writing the report…")
        job.start()


def compare(order: CompareOrder) -> Generator[Progress, None, Report]:
    """Compare; for a worker.

    Raises
    ------
    CellsegError
        If the reference cannot be read, or the two have different sizes.
    """
    from napari_cellseg.core.agreement.pairs import ArrayPair
    from napari_cellseg.core.workflows.agreement import make_report

    yield Progress("Reading the labels")
    labels = order.labels.labels()
    reference = _reference(order)
    image = order.labels.images[0] if order.labels.images else None
    if reference.data.shape[-2:] != labels.data.shape[-2:]:
        raise DataError(
            f"The labels have the shape {labels.data.shape} and the reference "
            f"{reference.data.shape}: choose a reference of the same image."
        )
    pair = ArrayPair(order.name, labels.data, reference.data, image)
    report = yield from make_report(
        [pair],
        labels=labels.name,
        reference=reference.name,
        settings=order.settings,
        keep_maps=True,
    )
    yield Progress("Drawing samples")
    _ = report.result.summary  # kept with the result: the window must not wait for it
    return report


def _reference(order: CompareOrder) -> Labels:
    if isinstance(order.reference, Snapshot):
        return order.reference.labels()
    from napari_cellseg.core.export.registry import importer_of

    images = order.labels.images
    importer = importer_of(order.reference)
    return importer.read(order.reference, images[0] if images else None).labels
