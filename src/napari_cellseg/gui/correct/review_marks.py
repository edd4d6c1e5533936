"""Shows in the viewer which object is in review, and which are to be accepted together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.layers import Vectors

from napari_cellseg.gui import layers
from napari_cellseg.gui.camera import outline
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.session.corrections.delta import Box, Index

_MARGIN = 3  # px between an object and the frame around it
_MOST_MARKED = 2**25  # pixels of labels in which objects are marked


class ReviewMarks:
    """A frame around one object, and a signal colour over others."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._frame: Vectors | None = None
        self._marked: LabelsLayer | None = None

    def frame(self, binding: Binding, index: Index, box: Box) -> None:
        """Show the frame around a box of a plane, in place of the last one."""
        line = outline(binding.axes, index, box, _MARGIN)
        self._frame = layers.show_line(self._viewer, binding.layer, self._frame, line, "In review")

    def no_frame(self) -> None:
        """Remove the frame."""
        if self._frame is not None:
            layers.remove(self._viewer, self._frame)
            self._frame = None

    def mark(self, binding: Binding | None, labels: Sequence[int]) -> None:
        """Mark these objects and no others."""
        if self._marked is not None:
            layers.remove(self._viewer, self._marked)
            self._marked = None
        if not labels or binding is None or binding.document.labels.size > _MOST_MARKED:
            return
        shown = np.isin(binding.document.labels, np.asarray(labels, np.int32)).astype(np.uint8)
        self._marked = layers.show_marked(
            self._viewer, binding.layer, binding.axes, shown, "To be accepted"
        )
