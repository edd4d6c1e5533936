"""Shows in the viewer what is selected, and selects what is clicked there."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels as LabelsLayer
from napari.layers import Vectors
from qtpy.QtCore import QObject, QTimer

from napari_cellseg.gui import camera, highlights, layers
from napari_cellseg.gui.conversion import in_label_order
from napari_cellseg.gui.geometry import shows_planes, slice_box
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.gui.measure.selection import Selection
from napari_cellseg.gui.measure.snapshot import data_of
from napari_cellseg.gui.measure.subject import Subject

_REST_MS = 60
_STILL = 3  # px on the screen that a click may move
_MOST_NUMBERS = 2**26
_MARGIN = 3  # px between an object and its frame


class Picking(QObject):
    """Links the selection and the viewer while it is awake.

    One object is framed; several are tinted in the shown plane. A selection from elsewhere moves
    the view to a single object.
    """

    def __init__(
        self, subject: Subject, selection: Selection, runner: JobRunner, parent: QObject | None
    ) -> None:
        super().__init__(parent)
        self._subject, self._selection = subject, selection
        self._viewer = subject.viewer
        self._awake = False
        self._listened: LabelsLayer | None = None
        self._frame: Vectors | None = None
        self._tint: LabelsLayer | None = None
        self._jobs = LatestJob(runner, self)
        self._moved = QTimer(self)
        self._moved.setSingleShot(True)
        self._moved.setInterval(_REST_MS)
        self._moved.timeout.connect(self._show)
        selection.changed.connect(self._on_selected)
        subject.changed.connect(self._on_subject)
        subject.edited.connect(self._on_slice)
        self._viewer.dims.events.current_step.connect(self._on_slice)

    @property
    def busy(self) -> bool:
        """Whether the view still has to follow the selection."""
        return self._moved.isActive() or self._jobs.busy

    def wake(self) -> None:
        """Listen to clicks in the viewer, and show what is selected."""
        if not self._awake:
            self._awake = True
            self._viewer.mouse_drag_callbacks.append(self._on_mouse)
            self._on_subject()
            self._show()

    def sleep(self) -> None:
        """Leave the viewer alone."""
        if self._awake:
            self._awake = False
            self._viewer.mouse_drag_callbacks.remove(self._on_mouse)
            self._listen(None)
            self._moved.stop()
            self._jobs.clear()
            self._hide()

    # From the viewer

    def _on_subject(self) -> None:
        self._listen(self._subject.layer if self._awake else None)

    def _listen(self, layer: LabelsLayer | None) -> None:
        if self._listened is not None:
            self._listened.events.selected_label.disconnect(self._on_label)
        self._listened = layer
        if layer is not None:
            layer.events.selected_label.connect(self._on_label)

    def _on_label(self) -> None:
        """Follow napari's own picker, and whatever else chooses a label of the layer."""
        layer = self._subject.layer
        if layer is not None:
            self._pick(int(layer.selected_label), clear=False)

    def _on_mouse(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Select on a click; a drag moves the view as ever, and other tools keep their clicks."""
        active = self._viewer.layers.selection.active
        layer = self._subject.layer
        idle = active is None or str(getattr(active, "mode", "pan_zoom")) == "pan_zoom"
        flat = layer is not None and shows_planes(self._viewer.dims, layer.ndim, self._subject.axes)
        if not flat or self._selection.table is None or event.button != 1 or not idle:
            return
        start = np.asarray(event.pos, float)
        yield
        while event.type == "mouse_move":
            if np.abs(np.asarray(event.pos, float) - start).max() > _STILL:
                return
            yield
        self.pick_at(event.position)

    def pick_at(self, position: tuple[float, ...]) -> None:
        """Select the object at a position of the world; beside all objects, none."""
        layer = self._subject.layer
        if layer is None:
            return
        where = np.asarray(position)[-layer.ndim :]
        value = layer.get_value(where, world=True)
        label = value[-1] if isinstance(value, tuple) else value
        self._pick(int(label or 0), clear=True)

    def _pick(self, label: int, clear: bool) -> None:
        row = self._selection.row_of(label, self._subject.index()) if label else None
        if row is not None:
            self._selection.choose([row], self)
        elif clear:
            self._selection.choose([], self)

    # To the viewer

    def _on_selected(self, by: object) -> None:
        if not self._awake:
            return
        if self._selection.rows.size == 1 and by is not self and by is not self._selection:
            self._go(int(self._selection.rows[0]))
        self._moved.start()

    def _on_slice(self) -> None:
        if self._awake and self._selection.rows.size:
            self._moved.start()

    def _go(self, row: int) -> None:
        layer, box = self._subject.layer, self._selection.box_of(row)
        if layer is None:
            return
        table, index = self._selection.table, self._selection.index_of(row)
        if box is not None:
            camera.go_to(self._viewer, layer, self._subject.axes, index, box)
        if table is not None:
            with layer.events.selected_label.blocker(self._on_label):
                layer.selected_label = int(table["label"][row])

    def _show(self) -> None:
        """Frame or tint what is selected in the shown plane."""
        layer, axes, rows = self._subject.layer, self._subject.axes, self._selection.rows
        shown = layer is not None and shows_planes(self._viewer.dims, layer.ndim, axes)
        if not self._awake or layer is None or not rows.size or not shown:
            self._hide()
            return
        if rows.size == 1:
            self._frame_one(layer, int(rows[0]))
            return
        self._no_frame()
        table, here = self._selection.table, self._selection.on_plane(self._subject.index())
        if table is None:
            return
        labels = table["label"][rows[here[rows]]]
        box = slice_box(layer, axes, self._viewer.dims.point)
        data = data_of(layer, box, axes)
        self._jobs.submit(
            single_step(lambda: _mask(data, axes, labels)),
            lambda mask: self._tint_them(layer, box, mask),
        )

    def _frame_one(self, layer: LabelsLayer, row: int) -> None:
        self._jobs.clear()
        self._no_tint()
        box, index = self._selection.box_of(row), self._selection.index_of(row)
        if box is None or index != self._subject.index():
            self._no_frame()
            return
        line = camera.outline(self._subject.axes, index, box, _MARGIN)
        self._frame = layers.show_line(self._viewer, layer, self._frame, line, "Selected object")

    def _tint_them(self, layer: LabelsLayer, box: Any, mask: npt.NDArray[np.uint8]) -> None:
        if self._awake and layer is self._subject.layer and layer in self._viewer.layers:
            self._tint = highlights.show_selected(
                self._viewer, layer, self._subject.axes, box, mask, self._tint
            )

    def _hide(self) -> None:
        self._jobs.clear()
        self._no_frame()
        self._no_tint()

    def _no_frame(self) -> None:
        if self._frame is not None:
            layers.remove(self._viewer, self._frame)
            self._frame = None

    def _no_tint(self) -> None:
        if self._tint is not None:
            layers.remove(self._viewer, self._tint)
            self._tint = None


def _mask(data: Any, axes: str, labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return 1 where one of the objects is in a plane (Y, X), 2 where another; for a worker."""
    plane = in_label_order(np.asarray(data), axes)
    plane = plane.reshape(plane.shape[-2:])
    highest = int(plane.max(initial=0))
    if highest > _MOST_NUMBERS:  # too many for a table of them
        chosen = np.isin(plane, labels)
        return np.where(plane > 0, np.where(chosen, 1, 2), 0).astype(np.uint8)
    marked = np.full(highest + 1, 2, np.uint8)
    marked[0] = 0
    marked[labels[labels <= highest]] = 1
    return marked[plane]
