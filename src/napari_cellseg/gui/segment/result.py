"""The result on screen: the layer that shows a run, kept in step with the session."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.gui import classes, conversion, layers
from napari_cellseg.gui.geometry import spatial_axes
from napari_cellseg.gui.segment.network import Request
from napari_cellseg.session.locks import Int32Array
from napari_cellseg.session.run import Run


class ResultLayer(QObject):
    """Shows a run as a Labels layer and notices what a person does to it.

    Signals: ``edited`` after paint on it, ``lost`` when the layer was removed.
    """

    edited = Signal()
    lost = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: LabelsLayer | None = None
        self.axes = ""
        self._origin: tuple[Any, ...] = ()
        self._shown: Any = None
        self.edits = 0
        self._by_class = False
        viewer.layers.events.removed.connect(self._on_removed)

    def show(self, run: Run, request: Request) -> None:
        """Show a run in a new layer; the layer of the last one is the user's from now on."""
        self._forget()
        source, axes = request.layer, request.axes
        self.axes = spatial_axes(source, axes).removeprefix("C")
        metadata = metadata_of(run, self.axes)
        self.layer = layers.add_result(
            self._viewer, source, axes, request.part.box, run.labels.copy(), metadata
        )
        self._origin = _origin(request)
        self._shown = self.layer.data
        self._show_classes(run)
        self.edits = 0
        self.layer.events.paint.connect(self._on_paint)

    def update(self, run: Run, data: Int32Array) -> None:
        """Show the same run with other labels: `data`, a copy of them that the layer may keep."""
        if self.layer is None:
            return
        layers.replace_labels(self.layer, data, self.axes, metadata_of(run, self.axes))
        self._shown = self.layer.data
        self.edits = 0
        self._show_classes(run)

    def _show_classes(self, run: Run) -> None:
        if self.layer is not None and run.classes is not None:
            classes.show_features(self.layer, run.classes)
            if self._by_class:
                classes.colour(self.layer, run.classes)

    def colour_by_class(self, on: bool, run: Run | None) -> None:
        """Colour the objects of `run`, which is on screen, by class, or each by itself again."""
        self._by_class = on
        if self.layer is None or run is None or run.classes is None:
            return
        if on:
            classes.colour(self.layer, run.classes)
        else:
            classes.colour_each(self.layer)

    @property
    def is_ours(self) -> bool:
        """Whether the layer is still there and shows the labels that were put into it."""
        layer = self.layer
        return layer is not None and layer in self._viewer.layers and layer.data is self._shown

    def continues(self, request: Request) -> bool:
        """Whether the run is one of the same part of the same image as is shown."""
        return self.is_ours and self._origin == _origin(request)

    def snapshot(self) -> Int32Array | None:
        """Return a copy of the labels if a person painted on them, None if not."""
        if self.layer is None or not self.edits:
            return None
        data = conversion.in_label_order(np.asarray(self.layer.data), self.axes)
        return np.array(data, dtype=np.int32, order="C")

    def _on_paint(self) -> None:
        self.edits += 1
        self.edited.emit()

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value is self.layer:
            self._forget()
            self.lost.emit()

    def _forget(self) -> None:
        if self.layer is not None:
            self.layer.events.paint.disconnect(self._on_paint)
        self.layer = None
        self._shown = None
        self._origin = ()


def _origin(request: Request) -> tuple[Any, ...]:
    box = request.part.box.items()
    return request.layer, request.axes, tuple((axis, p.start, p.stop) for axis, p in box)


def metadata_of(run: Run, axes: str) -> dict[str, Any]:
    """Return what the layer of a run says about itself."""
    return {**run.record.to_dict(), "axes": axes, "edited": list(run.locks.ids)}
