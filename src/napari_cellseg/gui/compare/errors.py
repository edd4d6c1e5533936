"""Leads through the errors of a comparison, and shows them in a layer."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Vectors
from qtpy.QtCore import QObject

from napari_cellseg.core.agreement.agreement import Agreement
from napari_cellseg.core.agreement.error_list import ErrorList, ObjectError
from napari_cellseg.core.agreement.object_errors import ErrorKind
from napari_cellseg.core.agreement.report.pictures import TINTS
from napari_cellseg.gui import camera, highlights, layers
from napari_cellseg.gui.boxes.compare_result import CompareResultBox
from napari_cellseg.gui.geometry import full_box
from napari_cellseg.gui.measure.subject import Subject

_MARGIN = 3  # px between an error and its frame


class ErrorTour(QObject):
    """Shows the errors of the labels, and goes to the chosen one."""

    def __init__(
        self, subject: Subject, box: CompareResultBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._subject, self._box = subject, box
        self._found: Agreement | None = None
        self._frame: Vectors | None = None
        self.layer: LabelsLayer | None = None
        box.kind_chosen.connect(self._list)
        box.error_chosen.connect(self.go_to)

    @property
    def errors(self) -> ErrorList | None:
        """The listed errors."""
        return self._box.model.errors

    def show(self, found: Agreement | None) -> None:
        """Show other errors; None takes them away."""
        self.no_frame()
        if self.layer is not None:
            layers.remove(self._subject.viewer, self.layer)
            self.layer = None
        self._found = found
        if found is not None:
            counts = found.errors.counts()
            kinds = [(f"{kind.title} ({counts[kind]})", int(kind)) for kind in ErrorKind]
            self._box.show_kinds([(f"all errors ({len(found.errors)})", 0), *kinds])
            self._add_layer(found)
        self._list()

    def _add_layer(self, found: Agreement) -> None:
        below, axes = self._subject.layer, self._subject.axes
        if below is None or found.error_map is None:
            return
        box = full_box(below, axes)
        shape = tuple(box[axis].stop for axis in "TZYX" if axis in box)
        if found.error_map.size != np.prod(shape):
            return
        codes = found.error_map.reshape(shape)
        tints = {int(kind): colour for kind, colour in TINTS.items()}
        self.layer = highlights.show_errors(self._subject.viewer, below, axes, codes, tints)

    def _list(self) -> None:
        errors = None if self._found is None else self._found.errors
        if errors is not None and self._box.kind:
            errors = errors.of(ErrorKind(self._box.kind))
        self._box.show_errors(errors)

    def go_to(self, place: int) -> None:
        """Show an error of the list."""
        layer, axes, errors = self._subject.layer, self._subject.axes, self.errors
        if layer is None or errors is None or not 0 <= place < len(errors):
            return
        error: ObjectError = errors[place]
        top, left, bottom, right = error.box
        box = slice(top, bottom), slice(left, right)
        lacking = sum(axis in axes for axis in "TZ") - len(error.plane)
        index = (0,) * lacking + error.plane  # axes of length 1 are left out in front
        viewer = self._subject.viewer
        camera.go_to(viewer, layer, axes, index, box)
        line = camera.outline(axes, index, box, _MARGIN)
        self._frame = layers.show_line(viewer, layer, self._frame, line, "Error")

    def no_frame(self) -> None:
        """Remove the frame around the error."""
        if self._frame is not None:
            layers.remove(self._subject.viewer, self._frame)
            self._frame = None
