"""Show the objects that a rule removed, and bring back those that are clicked."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.editing.edit import Edit, changes
from napari_cellseg.gui import highlights, layers
from napari_cellseg.gui.boxes.live import rule_title
from napari_cellseg.gui.geometry import slice_box
from napari_cellseg.gui.segment.result import ResultLayer
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.locks import Int32Array
from napari_cellseg.session.run import Run
from napari_cellseg.session.session import Session

IntArray = npt.NDArray[np.int64]


class RemovedObjects(QObject):
    """Highlights removed objects; ``restored`` is emitted when one was brought back."""

    restored = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        result: ResultLayer,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._result = result
        self._layer: LabelsLayer | None = None
        self.rule = ""

    def show(self, rule: str) -> None:
        """Highlight what `rule` removed; "" shows nothing."""
        self.rule = rule
        self.refresh()
        if self._layer is not None:
            self._go_to_nearest_plane()

    def _go_to_nearest_plane(self) -> None:
        """Move the viewer to a plane on which the rule removed something, if it shows none."""
        run, layer, axes = self._session.run, self._result.layer, self._result.axes
        sliced = [axes.index(axis) for axis in "TZ" if axis in axes]
        if run is None or layer is None or not sliced:
            return
        planes = sorted(run.still_removed(self.rule))
        shown = slice_box(layer, axes, self._viewer.dims.point)
        here = [shown[axes[k]].start for k in sliced]
        if not planes or tuple(here) in planes:
            return
        nearest = min(planes, key=lambda plane: int(np.abs(np.subtract(plane, here)).sum()))
        position = np.zeros(layer.ndim)
        position[sliced] = nearest
        world = layer.data_to_world(position)
        first = self._viewer.dims.ndim - layer.ndim
        for k in sliced:
            self._viewer.dims.set_point(first + k, float(world[k]))

    def refresh(self) -> None:
        """Follow another result or rule."""
        run, result = self._session.run, self._result.layer
        if not self.rule or run is None or result is None:
            self.hide()
            return
        canvas = _paint(run, self.rule)
        if self._layer is not None and self._layer in self._viewer.layers:
            layers.replace_data(self._layer, canvas, self._result.axes)
            return
        self._layer = highlights.show_removed(
            self._viewer, result, self._result.axes, canvas, rule_title(self.rule)
        )
        self._layer.mouse_drag_callbacks.append(self._on_mouse)
        self._layer.help = "Click an object to bring it back."

    def hide(self) -> None:
        """Remove the highlight."""
        if self._layer is not None:
            layers.remove(self._viewer, self._layer)
            self._layer = None
            if self._result.layer is not None and self._result.layer in self._viewer.layers:
                self._viewer.layers.selection.active = self._result.layer

    def _on_mouse(self, layer: LabelsLayer, event: Any) -> Generator[None, None, None]:
        """Restore on a click; a drag moves the view as ever."""
        where = event.position
        yield
        while event.type == "mouse_move":
            if np.abs(np.subtract(event.position, where)).max() > 0:
                return
            yield
        self.restore_at(where)

    def restore_at(self, position: tuple[float, ...]) -> bool:
        """Bring back the object at a position of the world; False if there is none."""
        run, result, axes = self._session.run, self._result.layer, self._result.axes
        if run is None or result is None:
            return False
        pixel = np.round(result.world_to_data(np.asarray(position)[-result.ndim :])).astype(int)
        index = tuple(int(pixel[axes.index(axis)]) for axis in "TZ" if axis in axes)
        y, x = int(pixel[axes.index("Y")]), int(pixel[axes.index("X")])
        extent = run.labels.shape[-2:]
        if not (0 <= y < extent[0] and 0 <= x < extent[1]):
            return False
        found = run.removed_at(self.rule, index, y, x)
        if found is None or self._result.binding is None:
            return False
        document = self._result.binding.document
        document.edit("Bring back", index, bring_back(document.plane(index), found, document))
        self.restored.emit()
        return True


def bring_back(
    plane: Int32Array, pixels: tuple[IntArray, IntArray], document: Document
) -> list[Edit]:
    """Return the edits that make `pixels`, rows and columns, an object where nothing is yet."""
    rows, columns = pixels
    box = (
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )
    after = plane[box].copy()
    inside = (rows - box[0].start, columns - box[1].start)
    after[inside] = np.where(after[inside] == 0, document.new_id(), after[inside])
    return changes(plane, box, after)


def _paint(run: Run, rule: str) -> Int32Array:
    canvas = np.zeros(run.labels.shape, np.int32)
    for index, gone in run.still_removed(rule).items():
        gone.paint(canvas[index])
    return canvas
