"""A rectangle that a person draws over labels, once."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.gui import geometry, layers
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.drawing import start_drawing


class Rectangle(QObject):
    """Lets it be drawn in a layer that comes and goes.

    Signals: ``shown(bool)`` when drawing begins and ends, ``drawn(Box, mask | None)`` with what
    `geometry.region` makes of it, ``told(str)`` with a sentence for the person.
    """

    shown = Signal(bool)
    drawn = Signal(object, object)
    told = Signal(str)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shapes: Shapes | None = None
        self._binding: Binding | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    def start(self, binding: Binding) -> None:
        """Let a rectangle be drawn over some labels."""
        self.stop()
        self._binding = binding
        self._shapes = start_drawing(self._viewer, binding.layer, "Rectangle", "add_rectangle")
        self._shapes.events.data.connect(self._on_data)
        self._shapes.bind_key("Escape", lambda _: self.stop(), overwrite=True)
        self.shown.emit(True)

    def stop(self) -> None:
        """Draw none, and give the focus back to the labels."""
        shapes, self._shapes = self._shapes, None
        if shapes is not None:
            layers.remove(self._viewer, shapes)
            if self._binding is not None and self._binding.layer in self._viewer.layers:
                self._viewer.layers.selection.active = self._binding.layer
        self.shown.emit(False)

    def _on_removed(self, event: Any) -> None:
        if self._shapes is not None and event.value is self._shapes:
            self._shapes = None
            self.shown.emit(False)

    def _on_data(self, event: Any) -> None:
        if str(getattr(event, "action", "")) in ("added", "changed"):
            # Not while napari is still in its own mouse callback for this rectangle.
            QTimer.singleShot(0, self._finish)

    def _finish(self) -> None:
        shapes, binding = self._shapes, self._binding
        if shapes is None or binding is None or not len(shapes.data):
            return
        found = geometry.region(shapes, binding.layer, binding.axes, self._viewer.dims.point)
        self.stop()
        if found is None:
            self.told.emit("The rectangle lies beside the labels: draw it over them.")
        else:
            self.drawn.emit(*found)
