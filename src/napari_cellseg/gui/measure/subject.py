"""The labels layer that is measured, and what of it changes."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.gui.conversion import guess_label_axes
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import bare, desk_of
from napari_cellseg.gui.geometry import slice_box
from napari_cellseg.gui.layers import PASSING_KEY, image_layers, labels_layers
from napari_cellseg.gui.measure.images import ImageChoice
from napari_cellseg.gui.measure.snapshot import Snapshot, snapshot_of

_EDITS = ("data", "paint", "labels_update")  # events of a layer whose objects change


class Subject(QObject):
    """What is measured at present.

    Signals: ``changed()`` when other labels, or none, are measured; ``edited()`` when their
    objects have changed; ``listed()`` when there are other layers to choose from.
    """

    changed = Signal()
    edited = Signal()
    listed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.desk = desk_of(viewer)
        self.layer: LabelsLayer | None = None
        self.axes = ""
        self.images = ImageChoice()
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._on_layers)
        for layer in viewer.layers:
            layer.events.name.connect(self._on_layers)

    @property
    def binding(self) -> Binding | None:
        """The corrections of the labels, None if there are none."""
        return self.desk.of(self.layer) if self.layer is not None else None

    def choices(self) -> list[LabelsLayer]:
        """Return the labels layers that can be measured, topmost first."""
        return labels_layers(self.viewer)

    def take(self, layer: LabelsLayer | None) -> None:
        """Measure `layer` from now on, None for no layer."""
        layer = bare(layer) if layer is not None else None
        if layer is self.layer:
            return
        if self.layer is not None:
            self._connect(self.layer, False)
        self.layer, self.axes = layer, ""
        if layer is not None:
            try:
                self.axes = guess_label_axes(layer)
            except CellsegError:
                self.layer = None
            else:
                self._connect(layer, True)
        self.look()
        self.changed.emit()

    def take_selected(self) -> None:
        """Measure the selected labels, else those of before, else the topmost."""
        active, choices = self.viewer.layers.selection.active, self.choices()
        if active in choices:
            self.take(active)
        elif choices and self.layer is None:
            self.take(choices[0])

    def look(self) -> None:
        """Find out which images lie below the labels."""
        self.images.look(image_layers(self.viewer), self.layer, self.axes)

    def snapshot(self) -> Snapshot | None:
        """Return what a worker needs, None if there are no labels.

        Raises
        ------
        CellsegError
            If an image cannot be used.
        """
        if self.layer is None:
            return None
        return snapshot_of(self.layer, self.images.chosen, self.binding)

    def index(self) -> tuple[int, ...]:
        """Return the index of the shown plane along those of T and Z that the labels have."""
        if self.layer is None:
            return ()
        box = slice_box(self.layer, self.axes, self.viewer.dims.point)
        return tuple(box[axis].start for axis in "TZ" if axis in box)

    def _connect(self, layer: LabelsLayer, on: bool) -> None:
        for name in _EDITS:
            event = getattr(layer.events, name)
            (event.connect if on else event.disconnect)(self._on_edited)

    def _on_edited(self) -> None:
        if self.layer is not None and self.layer.ndim != len(self.axes):
            self.axes = guess_label_axes(self.layer)
        self.edited.emit()

    def _on_layers(self, event: Any = None) -> None:
        kind = getattr(event, "type", "")
        if kind in ("inserted", "removed") and event.value.metadata.get(PASSING_KEY):
            return
        if kind == "inserted":
            event.value.events.name.connect(self._on_layers)
        if kind == "removed" and bare(event.value) is self.layer:
            self.take(None)
        self.listed.emit()
