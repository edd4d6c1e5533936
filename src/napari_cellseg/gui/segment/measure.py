"""Measure the diameter of an object with a line that the user draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.gui import drawing, layers


class DiameterLine(QObject):
    """``measured(float)`` is emitted with the length of the line in pixels of the image."""

    measured = Signal(float)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shapes: Shapes | None = None
        self._image: ImageLayer | None = None
        self._axes = ""

    def start(self, image: ImageLayer, axes: str) -> None:
        """Add a layer to draw one line in; it goes away when the line is drawn."""
        self.stop()
        self._image, self._axes = image, axes
        self._shapes = drawing.start_drawing(self._viewer, image, "Diameter", "add_line")
        self._shapes.events.data.connect(self._on_data)

    def stop(self) -> None:
        """Take the line away."""
        if self._shapes is not None:
            shapes, self._shapes = self._shapes, None
            layers.remove(self._viewer, shapes)
            if self._image is not None and self._image in self._viewer.layers:
                self._viewer.layers.selection.active = self._image

    def _on_data(self, event: Any) -> None:
        if self._shapes is None or str(getattr(event, "action", "")) not in ("added", "changed"):
            return
        # Not while napari is still in its own mouse callback for this line.
        QTimer.singleShot(0, self._finish)

    def _finish(self) -> None:
        shapes, image = self._shapes, self._image
        if shapes is None or image is None or not len(shapes.data):
            return
        ends = np.asarray(shapes.data[-1], dtype=float)[:2]
        world = [shapes.data_to_world(end) for end in ends]
        pixels = np.asarray([image.world_to_data(point[-image.ndim :]) for point in world])
        columns = [self._axes.index(axis) for axis in "YX"]
        length = float(np.linalg.norm(pixels[1, columns] - pixels[0, columns]))
        if length < 1:
            return
        self.stop()
        self.measured.emit(length)
