"""Outlines over the locked objects of the shown plane, kept in step with the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject

from napari_cellseg.core.editing.edit import padded
from napari_cellseg.gui import geometry, layers, overlays
from napari_cellseg.gui.boxes.outlines import OutlinesBox
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.session.corrections.delta import Box, Index, Int32Array
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.outlines import (
    Kinds,
    UInt8Array,
    changed_kinds,
    draw,
    kinds_of,
    of_objects,
)

_AT_ONCE = 300_000  # pixels; drawing more takes a worker
_FEW = 500  # objects whose boxes are looked up at once


class Outlines(QObject):
    """Shows which objects are locked, as long as any are; the box turns it on and off."""

    def __init__(
        self,
        bench: Workbench,
        runner: JobRunner,
        box: OutlinesBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bench, self._box = bench, box
        self._viewer = bench.viewer
        self._binding: Binding | None = None
        self._layer: LabelsLayer | None = None
        self._kinds: Kinds = {}
        self._drawn: Index | None = None
        self._on = True
        self._removing = False
        self._jobs = LatestJob(runner, self)
        box.switched.connect(self.switch)
        bench.changed.connect(self._on_changed)
        bench.stepped.connect(self._on_stepped)
        dims = self._viewer.dims.events
        for event in (dims.current_step, dims.ndisplay, dims.order):
            event.connect(self._on_dims)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._on_changed(bench.binding)

    @property
    def layer(self) -> LabelsLayer | None:
        """The layer of the outlines, None as long as no object is locked."""
        return self._layer

    @property
    def busy(self) -> bool:
        """Whether outlines are being drawn."""
        return self._jobs.busy

    def switch(self, on: bool) -> None:
        """Show outlines or not."""
        self._on = on
        self._box.show_on(on)
        self._begin()

    def shut_down(self) -> None:
        """Take the outlines away."""
        self._jobs.clear()
        self._take_away()

    # What happens

    def _on_changed(self, binding: Binding | None) -> None:
        if self._binding is not None:
            overlays.connect_place(self._binding.layer, self._on_moved, on=False)
        self._take_away()
        self._binding = binding
        if binding is not None:
            overlays.connect_place(binding.layer, self._on_moved)
        self._begin()

    def _begin(self) -> None:
        """Draw everything anew, or take it away."""
        self._jobs.clear()
        self._drawn = None
        if self._binding is not None and self._on:
            self._kinds = kinds_of(self._binding.document.states)
            self._draw_plane()
        else:
            self._take_away()

    def _on_stepped(self, step: Step) -> None:
        if self._binding is None or not self._on:
            return
        if not step:  # other labels
            self._begin()
            return
        locked_before = np.fromiter(self._kinds, np.int64, len(self._kinds))
        changed = changed_kinds(step.states)
        for label, kind in changed.items():
            if kind:
                self._kinds[label] = kind
            else:
                self._kinds.pop(label, None)
        boxes = self._boxes(step, changed, locked_before)
        if boxes is None:
            self._draw_plane()
        else:
            self._draw_boxes(boxes)

    def _on_dims(self) -> None:
        if self._binding is None or self._layer is None:
            return
        self._show_or_hide()
        if self._drawn is not None and self._drawn != self._bench.index():
            self._drawn = None
            self._draw_plane()

    def _on_moved(self, event: Any) -> None:
        if event.type == "visible":
            self._show_or_hide()
        elif self._layer is not None and self._binding is not None and self._drawn is not None:
            axes, box = self._binding.axes, self._box_of(self._drawn)
            overlays.lay_over(self._layer, self._binding.layer, axes, box)

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer and not self._removing:
            self._layer = None
            self.switch(False)

    # What is drawn

    def _boxes(self, step: Step, changed: Kinds, locked_before: Any) -> list[Box] | None:
        """Return where outlines change on the drawn plane, None if it is too much for now."""
        binding, index = self._binding, self._drawn
        if binding is None or index is None or self._jobs.busy or len(changed) > _FEW:
            return None
        document = binding.document
        concerned = np.append(locked_before, np.fromiter(changed, np.int64, len(changed)))
        pixels = of_objects(step.pixels, concerned)
        boxes = [box for at, box in pixels.planes(document.labels.shape) if at == index]
        objects = document.objects(index)
        boxes += [objects.box(label) for label in changed if label in objects]
        shape = document.labels.shape[-2:]
        boxes = [padded(box, 1, shape) for box in boxes]
        area = sum((r.stop - r.start) * (c.stop - c.start) for r, c in boxes)
        return boxes if area <= _AT_ONCE else None

    def _draw_boxes(self, boxes: list[Box]) -> None:
        binding, layer, index = self._binding, self._layer, self._drawn
        if not self._kinds:
            self._take_away()
        if binding is None or layer is None or index is None or not self._kinds:
            return
        plane = binding.document.plane(index)
        for box in boxes:
            corner = box[0].start, box[1].start
            overlays.paint_locked(layer, binding.axes, corner, draw(plane, self._kinds, box))

    def _draw_plane(self) -> None:
        """Draw the shown plane in a worker."""
        binding = self._binding
        if binding is None or not self._kinds:
            self._jobs.clear()
            self._take_away()
            return
        self._drawn = None
        document, index = binding.document, self._bench.index()
        version, kinds = document.version, dict(self._kinds)
        plane: Int32Array = np.array(document.plane(index))
        self._jobs.submit(
            single_step(lambda: draw(plane, kinds)),
            lambda found: self._show(binding, index, version, found),
        )

    def _show(self, binding: Binding, index: Index, version: int, picture: UInt8Array) -> None:
        if binding is not self._binding or not self._on or not self._kinds:
            return
        if index != self._bench.index() or version != binding.document.version:
            self._draw_plane()
            return
        self._removing = True
        try:
            self._layer = overlays.show_locked(
                self._viewer,
                binding.layer,
                binding.axes,
                self._box_of(index),
                picture,
                self._layer,
            )
        finally:
            self._removing = False
        self._drawn = index
        self._show_or_hide()

    def _box_of(self, index: Index) -> dict[str, slice]:
        """Return the box of one plane of the labels."""
        binding = self._binding
        if binding is None:
            return {}
        box = geometry.full_box(binding.layer, binding.axes)
        leading = [axis for axis in "TZ" if axis in box]
        return box | {a: slice(k, k + 1) for a, k in zip(leading, index, strict=True)}

    def _show_or_hide(self) -> None:
        """Show the outlines where their plane is looked at, and the labels are shown."""
        if self._layer is not None and self._binding is not None:
            labels = self._binding.layer
            flat = geometry.shows_planes(self._viewer.dims, labels.ndim, self._binding.axes)
            self._layer.visible = bool(labels.visible) and flat

    def _take_away(self) -> None:
        layer, self._layer, self._drawn = self._layer, None, None
        if layer is not None:
            layers.remove(self._viewer, layer)
