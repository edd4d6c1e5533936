"""Shows what the model of a running training would find in the visible part of an image."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui import geometry, layers, overlays
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.finetune.pairs import channels_of, image_of
from napari_cellseg.gui.job_runner import JobRunner, LatestJob

UInt8Array = npt.NDArray[np.uint8]
Channels = tuple[int, ...] | None
NOWHERE = "Open the image and its labels again to see a preview on them."


class Preview(QObject):
    """Runs a saved state of the model in a worker.

    Signals: ``told(str)`` with a sentence, "" if all is well; ``ended()`` when nothing is under way
    any more.
    """

    told = Signal(str)
    ended = Signal()

    def __init__(
        self, viewer: ViewerModel, runner: JobRunner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: LabelsLayer | None = None
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(lambda error: self.told.emit(str(error)))
        self._jobs.idle.connect(self.ended)

    def show(self, folder: Path, binding: Binding | None, device: str) -> None:
        """Run the model in `folder` on what is seen of the image under some labels."""
        image = None if binding is None else image_of(self._viewer, binding)
        if binding is None or image is None:
            self.told.emit(NOWHERE)
            self.ended.emit()
            return
        point = self._viewer.dims.point
        box = geometry.view_box(binding.layer, binding.axes, point)
        channels = channels_of(binding)
        self._jobs.submit(
            lambda: segment_part(folder, image, box, channels, device),
            lambda objects: self._show(objects, binding, box),
        )

    def _show(self, objects: UInt8Array, binding: Binding, box: geometry.Box) -> None:
        if binding.layer not in self._viewer.layers:
            self.told.emit(NOWHERE)
            return
        self._layer = overlays.show_trained(
            self._viewer, binding.layer, binding.axes, box, objects, self._layer
        )
        self.told.emit("")

    def hide(self) -> None:
        """Take the preview away."""
        self._jobs.clear()
        if self._layer is not None:
            layers.remove(self._viewer, self._layer)
            self._layer = None


def segment_part(
    folder: Path, image: Image, box: geometry.Box, channels: Channels, device: str
) -> Generator[Progress, None, UInt8Array]:
    """Segment part of a plane with the model in `folder` (in a worker).

    Returns
    -------
    uint8 (Y, X): 0 for background, and numbers that are used again after 255 objects.
    """
    yield Progress("Loading the network")
    from napari_cellseg.core.recipe import Recipe
    from napari_cellseg.core.workflows.segment import segment
    from napari_cellseg.core.zoo.bundle import load_bundle

    model = load_bundle(folder)
    recipe = Recipe.for_model(model.card, str(folder))
    recipe = recipe.replace(preparation=recipe.preparation.replace(channels=channels))
    index = tuple(box[axis].start for axis in image.leading_axes)
    plane = Image(
        image.plane(index),
        "YXC",
        image.pixel_size,
        channel_names=image.channel_names,
        rgb=image.rgb,
        name=image.name,
    )
    found: Any = yield from segment(
        plane, recipe, model=model, device=device, region=(box["Y"], box["X"])
    )
    labels = found.labels.data
    objects: UInt8Array = ((labels > 0) * ((labels - 1) % 255 + 1)).astype(np.uint8)
    return objects
