"""Runs of the network in a worker, from the choices in the tab to a result in the session."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.zoo.store import find_model
from napari_cellseg.gui import conversion
from napari_cellseg.gui.activity import Activity
from napari_cellseg.gui.job_runner import Job, JobRunner
from napari_cellseg.gui.segment.scope import Part
from napari_cellseg.gui.segment.warm_up import load_layer_parts
from napari_cellseg.session.locks import Int32Array, Locks
from napari_cellseg.session.planes import Planes
from napari_cellseg.session.run import Run

if TYPE_CHECKING:
    from napari_cellseg.core.zoo.bundle import Model

Region = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Request:
    """What to segment, and how."""

    layer: ImageLayer
    axes: str
    part: Part
    recipe: Recipe
    device: str
    threads: int = 0


class Fresh(NamedTuple):
    """A run, and a copy of its labels for a layer to own."""

    run: Run
    shown: Int32Array


class NetworkRuns(QObject):
    """One run at a time; a removed layer cancels it, a renamed one does not.

    Signals: ``progressed(Progress)``, ``succeeded(Request, Fresh)``, ``failed(CellsegError)``,
    ``cancelled(str)`` with the reason, and ``finished()`` after any of them.
    """

    progressed = Signal(object)
    succeeded = Signal(object, object)
    failed = Signal(object)
    cancelled = Signal(str)
    finished = Signal()

    def __init__(
        self, viewer: ViewerModel, runner: JobRunner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._runner = runner
        self._job: Job | None = None
        self._request: Request | None = None
        self._reason = ""
        viewer.layers.events.removed.connect(self._on_layer_removed)

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._job is not None

    def start(self, request: Request) -> None:
        """Run the network; does nothing while another run is under way.

        Raises
        ------
        ImageError
            If the axes do not fit the layer.
        """
        if self.running:
            return
        box = request.part.box
        leading = {axis: part for axis, part in box.items() if axis in "TZ"}
        image = conversion.to_image(request.layer, request.axes, leading)
        rows, columns = box["Y"], box["X"]
        whole = (rows, columns) == (slice(0, image.size("Y")), slice(0, image.size("X")))
        region = None if whole else (rows, columns)
        recipe, device, mask, threads = (
            request.recipe,
            request.device,
            request.part.mask,
            request.threads,
        )
        self._request = request
        self._reason = "Cancelled; nothing was changed."
        self._job = job = self._runner.create(
            lambda: _copied(segment_image(image, recipe, device, region, mask, threads))
        )
        title = f"CellSeg: {request.layer.name}"
        self._activity = activity = Activity(self._viewer, title, job.cancel)
        job.progressed.connect(self.progressed)
        job.progressed.connect(activity.show)  # last, because napari processes events in it
        job.succeeded.connect(self._on_succeeded)
        job.failed.connect(self.failed)
        job.cancelled.connect(lambda: self.cancelled.emit(self._reason))
        job.finished.connect(self._on_finished)
        job.start()

    def cancel(self, reason: str = "Cancelled; nothing was changed.") -> None:
        """Stop within one tile; no result is delivered any more."""
        if self._job is not None:
            self._reason = reason
            self._job.cancel()

    def _on_layer_removed(self, event: Any) -> None:
        if self._request is not None and event.value is self._request.layer:
            self.cancel("The image was removed in mid-run: the run was cancelled.")

    def _on_succeeded(self, fresh: Fresh) -> None:
        self.succeeded.emit(self._request, fresh)

    def _on_finished(self) -> None:
        self._activity.close()
        self._job = self._request = None
        self.finished.emit()


def _copied(work: Generator[Progress, None, Run]) -> Generator[Progress, None, Fresh]:
    """Add what the window would take too long for (in a worker)."""
    run = yield from work
    load_layer_parts()
    return Fresh(run, run.labels.copy())


@lru_cache(maxsize=1)
def _load_once(folder: Path, weights_sha256: str) -> Model:  # noqa: ARG001 - part of the key
    """Load a bundle, or return the last one: loading takes as long as a small image."""
    from napari_cellseg.core.zoo.bundle import load_bundle

    return load_bundle(folder)


def segment_image(
    image: Image,
    recipe: Recipe,
    device: str,
    region: Region | None,
    mask: npt.NDArray[np.bool_] | None,
    threads: int,
) -> Generator[Progress, None, Run]:
    """Segment an image, or a region of it, into a run that can be adjusted (in a worker)."""
    yield Progress("Loading the network")
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.workflows.segment import segment

    if threads:
        torch.set_num_threads(threads)
    entry = find_model(recipe.model)
    model = _load_once(entry.folder, entry.card.weights_sha256)
    found = yield from segment(image, recipe, model=model, device=device, region=region)
    planes = Planes(found.prediction)
    run = Run(image, found.recipe, found.record, planes, found.labels.data, {}, Locks.none(), mask)
    # Once more through the kept planes: they are then ready for the first move of a slider.
    return (yield from run.relabelled(found.recipe.post))
