"""The reviewed area of the labels under correction: marked, shown and kept with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.gui import conversion, geometry, layers, overlays
from napari_cellseg.gui.boxes.reviewed import ReviewedBox
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.rectangle import Rectangle
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.session.corrections.history import Step

_REST_MS = 150
_FLAT = "Look at the labels plane by plane (2D, rows and columns) to mark an area."


class Reviewed(QObject):
    """A mask layer that belongs to the labels layer; ``changed`` after each change of it."""

    changed = Signal()

    def __init__(
        self,
        bench: Workbench,
        runner: JobRunner,
        box: ReviewedBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bench, self._box = bench, box
        self._viewer = bench.viewer
        self._desk = desk_of(bench.viewer)
        self._binding: Binding | None = None
        self._layer: LabelsLayer | None = None
        self._rectangle = Rectangle(bench.viewer, self)
        self._rectangle.shown.connect(box.show_drawing)
        self._rectangle.drawn.connect(self._on_drawn)
        self._rectangle.told.connect(bench.told)
        self._count = 0
        self._painted = False
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._look)
        box.view_requested.connect(self._on_view)
        box.slice_requested.connect(self._on_slice)
        box.rectangle_requested.connect(self._on_rectangle)
        box.paint_requested.connect(self._on_paint)
        box.clear_requested.connect(self._on_clear)
        bench.changed.connect(self._on_changed)
        bench.stepped.connect(self._on_stepped)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._on_changed(bench.binding)

    @property
    def layer(self) -> LabelsLayer | None:
        """The layer of the area, None as long as nothing was marked."""
        return self._layer

    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Return a copy of the area (T?, Z?, Y, X), None if nothing is marked."""
        if self._layer is None or self._binding is None:
            return None
        marked = conversion.in_label_order(np.asarray(self._layer.data), self._binding.axes)
        mask: npt.NDArray[np.bool_] = np.ascontiguousarray(marked != 0)
        return mask if mask.any() else None

    def shut_down(self) -> None:
        """Stop drawing; the area stays with the labels."""
        self._rectangle.stop()
        self._rest.stop()
        if self._binding is not None:
            self._desk.touch(self._binding)

    # The labels

    def _on_changed(self, binding: Binding | None) -> None:
        self._rectangle.stop()
        self._detach()
        old, self._binding = self._binding, binding
        if old is not None and old.layer not in self._viewer.layers:
            # Not while napari is still busy with the removal of the labels.
            QTimer.singleShot(0, lambda: self._remove_area_of(old))
        if binding is not None:
            found = overlays.reviewed_layer(self._viewer.layers, binding.layer)
            before = self._desk.reviewed_before(binding) if found is None else None
            if found is not None:
                self._attach(found)
            elif before is not None:
                self._make(before.astype(np.uint8))
        self._look()

    def _on_stepped(self, step: Step) -> None:
        """Drop the area if the labels have another shape by now."""
        binding, layer = self._binding, self._layer
        if binding is None or layer is None or layer.data.shape == binding.layer.data.shape:
            return
        layers.remove(self._viewer, layer)

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._detach()
            self._painted = True
            self._look()

    def _remove_area_of(self, binding: Binding) -> None:
        for layer in overlays.areas_of(self._viewer.layers, binding.layer):
            layers.remove(self._viewer, layer)

    # The layer

    def _make(self, mask: npt.NDArray[np.uint8]) -> LabelsLayer:
        binding = self._binding
        if binding is None:
            raise LookupError("an area belongs to labels")
        layer = overlays.add_reviewed(self._viewer, binding.layer, binding.axes, mask)
        self._attach(layer)
        return layer

    def _ready(self, marked: Callable[[], geometry.Box] | None = None) -> LabelsLayer | None:
        """Return the layer to mark in, None, with a word, if there is no plane to mark.

        A new one has the box `marked` filled.
        """
        binding, dims = self._binding, self._viewer.dims
        if binding is None:
            self._bench.told.emit("Choose a labels layer to correct.")
            return None
        if not geometry.shows_planes(dims, binding.layer.ndim, binding.axes):
            self._bench.told.emit(_FLAT)
            return None
        if self._layer is not None:
            return self._layer
        mask = np.zeros(binding.document.labels.shape, np.uint8)
        if marked is not None:
            box = marked()
            mask[tuple(box[axis] for axis in "TZYX" if axis in box)] = 1
        return self._make(mask)

    def _attach(self, layer: LabelsLayer) -> None:
        self._layer = layer
        layer.events.paint.connect(self._on_painted)
        layer.events.data.connect(self._on_painted)
        layer.events.set_data.connect(self._on_shown)
        if self._binding is not None:
            overlays.connect_place(self._binding.layer, self._on_moved)

    def _detach(self) -> None:
        layer, self._layer = self._layer, None
        if layer is None:
            return
        layer.events.paint.disconnect(self._on_painted)
        layer.events.data.disconnect(self._on_painted)
        layer.events.set_data.disconnect(self._on_shown)
        if self._binding is not None:
            overlays.connect_place(self._binding.layer, self._on_moved, on=False)

    def _on_moved(self, event: Any) -> None:
        binding, layer = self._binding, self._layer
        if binding is not None and layer is not None and event.type != "visible":
            whole = geometry.full_box(binding.layer, binding.axes)
            overlays.lay_over(layer, binding.layer, binding.axes, whole)

    def _on_painted(self) -> None:
        self._painted = True
        self._rest.start(_REST_MS)

    def _on_shown(self) -> None:
        """Look again: an undo of the layer tells no more than that it is shown anew."""
        self._rest.start(_REST_MS)

    def _look(self) -> None:
        """Tell how much is marked, and others if that has changed."""
        layer = self._layer
        count = 0 if layer is None else int(np.count_nonzero(layer.data))
        self._box.show_share(count / layer.data.size if layer is not None and count else 0.0)
        if self._painted or count != self._count:
            self._painted, self._count = False, count
            if self._binding is not None:
                self._binding.document.set_reviewed(self.mask())
                self._desk.touch(self._binding)
            self.changed.emit()

    # The buttons

    def _on_view(self) -> None:
        self._mark(self._bench.visible_box)

    def _on_slice(self) -> None:
        self._mark(self._bench.plane_box)

    def _mark(self, which: Callable[[], geometry.Box]) -> None:
        """Mark a box; a layer that is made for it shows it from the start: it is drawn once."""
        new = self._layer is None
        layer = self._ready(which)
        if layer is not None and self._binding is not None:
            if new:
                overlays.remember_mark(layer, self._binding.axes, which())
                self._on_painted()
            else:
                overlays.mark(layer, self._binding.axes, which(), 1)

    def _on_clear(self) -> None:
        if self._layer is not None and self._binding is not None:
            overlays.mark(self._layer, self._binding.axes, {}, 0)

    def _on_paint(self) -> None:
        layer = self._ready()
        if layer is not None:
            overlays.start_painting(self._viewer, layer)

    def _on_rectangle(self, on: bool) -> None:
        self._rectangle.stop()
        if on and self._ready() is not None and self._binding is not None:
            self._rectangle.start(self._binding)

    def _on_drawn(self, box: geometry.Box, inside: npt.NDArray[np.bool_] | None) -> None:
        binding, layer = self._binding, self._layer
        if binding is None or layer is None:
            return
        before = conversion.in_label_order(np.asarray(layer.data), binding.axes)
        part = before[tuple(box[axis] for axis in "TZYX" if axis in box)]
        plane = part.reshape(part.shape[-2:])
        marked = 1 if inside is None else (plane | inside).astype(np.uint8)
        overlays.mark(layer, binding.axes, box, marked)
