"""Runs the network once more on the mirrored image, for a rating that knows what changes by it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from weakref import ref

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject

from napari_cellseg.core.progress import Progress
from napari_cellseg.core.review.risk import SIGNS, Maps, RiskTable
from napari_cellseg.gui import conversion
from napari_cellseg.gui.boxes.flips import FlipsBox
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.geometry import full_box
from napari_cellseg.gui.job_runner import Job, JobRunner
from napari_cellseg.session.planes import Planes
from napari_cellseg.session.run import Run

NOTHING: Maps = (None, None)
_CLEARLY = 0.5  # of the most that a change counts
_ELSEWHERE = (
    "These labels come from elsewhere: only labels that a model made here can be compared with "
    "flips."
)
_CLOSED = (
    "The image that these labels were made from is closed: open it and run the model again, to "
    "compare with flips."
)


class Flips(QObject):
    """One comparison at a time, of the labels on the workbench.

    Parameters
    ----------
    compared
        Called when there are maps to compare with.
    """

    def __init__(
        self,
        bench: Workbench,
        runner: JobRunner,
        box: FlipsBox,
        compared: Callable[[], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bench, self._runner, self._box, self._compared = bench, runner, box, compared
        self._job: Job | None = None
        self._found: tuple[ref[Planes], Maps] | None = None
        box.requested.connect(self.start)
        box.cancel_requested.connect(self.cancel)
        bench.changed.connect(lambda _: self._on_changed())

    def maps(self) -> Maps:
        """Return what the mirrored image gave for the labels on the workbench, if it was asked."""
        run = self._run()
        if run is None or self._found is None or self._found[0]() is not run.planes:
            return NOTHING
        return self._found[1]

    def show(self) -> None:
        """Offer a comparison, or tell that there is one."""
        run = self._run()
        if self._job is None:
            cost = "" if run is None else f"{_duration(run.record.seconds)} on {run.record.device}"
            self._box.show_offer(cost, done=self.maps() is not NOTHING)

    def show_rated(self, risks: RiskTable) -> None:
        """Tell how many objects of a rating change by the mirroring."""
        self.show()
        if self._job is None and self.maps() is not NOTHING:
            much = SIGNS["changed"].weight * _CLEARLY
            count, total = int((risks.parts["changed"] > much).sum()), len(risks.ids)
            self._box.show_note(f"{count} of {total} objects change clearly when mirrored.")

    def start(self) -> None:
        """Run the network, or say why that is not possible."""
        run, binding = self._run(), self._bench.binding
        if run is None or binding is None:
            self._box.show_note(_ELSEWHERE)
            return
        layer = binding.origin[0] if binding.origin else None
        if not isinstance(layer, ImageLayer) or layer not in self._bench.viewer.layers:
            self._box.show_note(_CLOSED)
            return
        _, axes, parts = binding.origin
        box = full_box(layer, axes) | {axis: slice(a, b) for axis, a, b in parts}
        leading = {axis: part for axis, part in box.items() if axis in "TZ"}
        image = conversion.to_image(layer, axes, leading)
        recipe, prediction, region = run.recipe, run.planes.prediction, (box["Y"], box["X"])

        def work() -> Generator[Progress, None, Maps]:
            yield Progress("Loading the model")
            from napari_cellseg.core.workflows.flips import flipped_maps

            return (yield from flipped_maps(image, recipe, prediction, region=region))

        self._follow(self._runner.create(work), run.planes)

    def _follow(self, job: Job, planes: Planes) -> None:
        self._job = job
        job.progressed.connect(self._box.show_progress)
        job.succeeded.connect(lambda maps: self._on_found(job, planes, maps))
        job.failed.connect(lambda error: self._end(job, str(error)))
        job.cancelled.connect(lambda: self._end(job, ""))
        self._box.show_progress(Progress("Loading the model"))
        job.start()

    def cancel(self) -> None:
        """Stop within one tile."""
        if self._job is not None:
            self._job.cancel()

    def _on_found(self, job: Job, planes: Planes, maps: Maps) -> None:
        if job is self._job:
            self._found = (ref(planes), maps)
            self._end(job, "")
            if self.maps() is not NOTHING:  # another run may be on screen by now
                self._compared()

    def _end(self, job: Job, note: str) -> None:
        if job is self._job:  # not one for other labels
            self._job = None
            self.show()
            self._box.show_note(note)

    def _on_changed(self) -> None:
        self.cancel()
        self._job = self._found = None
        self.show()
        self._box.show_note("")

    def _run(self) -> Run | None:
        """Return the run that the labels come from, None if they are others by now."""
        binding = self._bench.binding
        return binding.run if binding is not None and self._bench.prediction() else None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s"
    return f"about {round(seconds / 60)} min"
