"""Opens a finished image and its labels in the viewer.

napari needs 0.1 s for either of them, in which the window stands still: the image is added first,
and the labels at a later turn of the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.gui import geometry, layers
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.gui.segment.warm_up import load_layer_parts

if TYPE_CHECKING:
    from napari_cellseg.core.arrays import Image, Labels
    from napari_cellseg.core.batch.inputs import BatchInput

RESULT_KEY = "napari-cellseg batch"
"""Under which the metadata of layers hold which result of a batch they show."""


@dataclass(frozen=True, eq=False)
class Opened:
    """An image and its labels, read in a worker; a name where the file holds several."""

    key: str
    name: str
    image: Image
    labels: Labels


class Showing(QObject):
    """Opens results; ``told(str)`` says why one cannot be opened, or "" when it is."""

    told = Signal(str)

    def __init__(
        self, viewer: ViewerModel, runner: JobRunner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._runner = viewer, runner
        self._reading = False
        self._awaited: ImageLayer | None = None  # the image, until its labels are added
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def busy(self) -> bool:
        """Whether something is being opened."""
        return self._reading or self._awaited is not None

    def open(self, one: BatchInput, folder: Path, layer: ImageLayer | None) -> None:
        """Open an image and its labels, or select them if they are open.

        Parameters
        ----------
        one
            The image.
        folder
            Of the results.
        layer
            The layer that it came from, None if it came from none or that is gone.
        """
        if self.busy:
            return
        path = BatchFolder(folder).labels_of(one.name)
        self._reading = True
        job = self._runner.create(single_step(lambda: read(one, path)))
        job.succeeded.connect(lambda found: self._show(found, layer))
        job.failed.connect(lambda error: self.told.emit(str(error)))
        job.finished.connect(self._on_finished)
        self.told.emit(f"Opening '{one.title}'…")
        job.start()

    def _on_finished(self) -> None:
        self._reading = False

    def _on_removed(self, event: Any) -> None:
        if event.value is self._awaited:  # so soon that its labels are not wanted either
            self._awaited = None
            self.told.emit("")

    def _show(self, found: Opened, layer: ImageLayer | None) -> None:
        viewer = self._viewer
        shown = [one for one in viewer.layers if one.metadata.get(RESULT_KEY) == found.key]
        if shown:  # the labels, and perhaps the image below them
            viewer.layers.selection.active = shown[-1]
            self.told.emit("")
            return
        if layer not in viewer.layers:
            layer = self._open_already(found)
        if layer is not None:
            self._add_labels(found, layer)
            return
        image = layers.add_image(
            viewer, found.image, found.name, lambda seen: self._add_labels(found, seen)
        )
        if not image.visible:
            self._awaited = image
        viewer.reset_view()

    def _add_labels(self, found: Opened, layer: ImageLayer) -> None:
        self._awaited = None
        image, axes = found.image, found.image.axes
        shape = (*image.leading, image.size("Y"), image.size("X"))
        shown_axes = geometry.spatial_axes(layer, axes).removeprefix("C")
        result = layers.add_result(
            self._viewer,
            layer,
            axes,
            geometry.full_box(layer, axes),
            found.labels.data.reshape(shape),
            {**found.labels.provenance, "axes": shown_axes},
        )
        result.metadata[RESULT_KEY] = found.key
        self.told.emit("")

    def _open_already(self, found: Opened) -> ImageLayer | None:
        """Return the layer that a person opened from the same file, if there is one."""
        source, shape = found.image.source, found.image.shape
        if source is None or found.name:
            return None
        for layer in layers.image_layers(self._viewer):
            same = layer.source.path and Path(layer.source.path).absolute() == source.absolute()
            if same and tuple(layer.data.shape) == shape and not layer.multiscale:
                return layer
        return None


def read(one: BatchInput, path: Path) -> Opened:
    """Read an image and its labels (for a worker).

    Raises
    ------
    ImageError
        If one of them is gone or cannot be read.
    """
    from napari_cellseg.core.reading import read_labels

    load_layer_parts()
    labels = read_labels(path)
    key = f"{path.absolute()} {path.stat().st_mtime_ns}"
    return Opened(key, one.name if one.series is not None else "", one.load(), labels)
