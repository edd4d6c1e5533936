"""The list of images of the batch: gathered from files, folders and layers, in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.gui import conversion
from napari_cellseg.gui.boxes.batch_images import BatchImagesBox
from napari_cellseg.gui.boxes.batch_model import Row
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.gui.layers import image_layers

if TYPE_CHECKING:
    from napari_cellseg.core.arrays import Image
    from napari_cellseg.core.batch.inputs import BatchInput
    from napari_cellseg.core.batch.queue import Item

LAYER_GONE = "Its layer was removed from the viewer."


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a worker: images, and one sentence for each place that holds none."""

    inputs: tuple[BatchInput, ...]
    problems: tuple[str, ...]


class Listing(QObject):
    """Keeps the list, and the box that shows it.

    Signals: ``changed()`` when the list is another one, ``told(str)`` with one or more sentences,
    ``layer_gone(int)`` with the row of a layer that was removed while a batch runs.
    """

    changed = Signal()
    told = Signal(str)
    layer_gone = Signal(int)

    def __init__(
        self,
        viewer: ViewerModel,
        runner: JobRunner,
        box: BatchImagesBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._runner, self._box = viewer, runner, box
        self._layers: dict[str, ImageLayer] = {}  # by key of their input
        self._jobs = 0
        self.frozen = False
        self.axes = ""
        viewer.layers.events.removed.connect(self._on_removed)
        box.paths_dropped.connect(self.add_paths)
        box.layers_requested.connect(self.add_layers)
        box.remove_requested.connect(self.remove)

    @property
    def rows(self) -> list[Row]:
        """The images in order."""
        return self._box.model.rows

    @property
    def inputs(self) -> tuple[BatchInput, ...]:
        """The images in order."""
        return tuple(row.input for row in self.rows)

    @property
    def searching(self) -> bool:
        """Whether files are being looked at."""
        return self._jobs > 0

    def offer_layers(self) -> None:
        """Offer the image layers that are open."""
        self._box.show_layers(image_layers(self._viewer))

    # Adding

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Add files, and the images in folders."""
        self._search(lambda: look_for(paths))

    def add_layers(self, some: Iterable[ImageLayer]) -> None:
        """Add image layers, with their pixels of now."""
        found: list[tuple[str, Image]] = []
        problems = []
        for layer in some:
            try:
                image = self._image_of(layer)
            except CellsegError as error:
                problems.append(f"'{layer.name}' was not added. {error}")
                continue
            self._layers[f"layer {layer.name}"] = layer
            found.append((layer.name, image))
        if found or problems:
            self._search(lambda: layer_inputs(found, problems))

    def _image_of(self, layer: ImageLayer) -> Image:
        from napari_cellseg.core.errors import ImageError

        dimensions = conversion.full_data(layer).ndim
        guess = conversion.guess_layer_axes(layer)
        axes = self.axes.replace("S", "C") if len(self.axes) == dimensions else guess.axes
        if guess.ambiguous and axes != self.axes.replace("S", "C"):
            shape = " x ".join(map(str, conversion.full_data(layer).shape))
            raise ImageError(
                f"What its dimensions ({shape}) are is in doubt: write it under Axes, such as "
                f"{guess.axes}, and add it again."
            )
        return conversion.to_image(layer, axes)

    def _search(self, look: Callable[[], Found]) -> None:
        if self.frozen:
            return
        self._jobs += 1
        job = self._runner.create(single_step(look))
        job.succeeded.connect(self._on_found)
        job.failed.connect(lambda error: self.told.emit(str(error)))
        job.finished.connect(self._on_searched)
        job.start()
        self.changed.emit()

    def _on_searched(self) -> None:
        self._jobs -= 1
        self.changed.emit()

    def _on_found(self, found: Found) -> None:
        new = {one.key: one for one in found.inputs}
        # A layer that is added again has other pixels by now.
        rows = [
            Row(new.pop(row.input.key)) if row.input.path is None and row.input.key in new else row
            for row in self.rows
        ]
        known = {row.input.key for row in rows}
        rows += [Row(one) for key, one in new.items() if key not in known]
        self._box.show_rows(rows)
        self.told.emit(" ".join(found.problems))

    # Taking away

    def remove(self, places: Sequence[int]) -> None:
        """Take rows from the list."""
        if self.frozen:
            return
        gone = set(places)
        self._box.show_rows([row for at, row in enumerate(self.rows) if at not in gone])
        self.changed.emit()

    def take(self, inputs: Iterable[BatchInput]) -> None:
        """List these images in place of all others."""
        self._box.show_rows([Row(one) for one in inputs])
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        for place, row in enumerate(self.rows):
            if row.input.path is None and self._layers.get(row.input.key) is event.value:
                if self.frozen:
                    self.layer_gone.emit(place)
                elif not row.has_result:
                    self.remove([place])
                    self.told.emit(f"'{row.input.name}' is no longer listed. {LAYER_GONE}")
                return

    # While a batch runs

    def freeze(self, on: bool) -> None:
        """Keep the list as it is, or let it be changed again."""
        self.frozen = on
        self._box.show_running(on)

    def show_items(self, items: Sequence[Item]) -> None:
        """Show what has become of the images."""
        changed = [
            (place, replace(row, item=item))
            for place, (row, item) in enumerate(zip(self.rows, items, strict=False))
            if row.item is not item
        ]
        self._box.change_rows(changed)

    def layer_of(self, one: BatchInput) -> ImageLayer | None:
        """Return the layer of an image that came from one, None if it is gone."""
        layer = self._layers.get(one.key) if one.path is None else None
        return layer if layer in self._viewer.layers else None


def look_for(paths: Sequence[Path]) -> Found:
    """Find the images in files and folders; a place without any is told (for a worker)."""
    from napari_cellseg.core.batch.inputs import find_inputs

    inputs: list[BatchInput] = []
    problems = []
    for path in paths:
        try:
            inputs += find_inputs([path])
        except CellsegError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"'{path}' cannot be looked into ({error.strerror}): check it.")
    return Found(tuple(inputs), tuple(problems))


def layer_inputs(images: Sequence[tuple[str, Image]], problems: Sequence[str]) -> Found:
    """Make inputs of images (for a worker, because the libraries it needs load slowly)."""
    from napari_cellseg.core.batch.inputs import BatchInput

    inputs = tuple(BatchInput(name, image=image) for name, image in images)
    return Found(inputs, tuple(problems))
