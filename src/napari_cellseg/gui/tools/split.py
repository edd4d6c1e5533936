"""Make several objects of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.split import split_along, split_between, split_into
from napari_cellseg.gui.tools.registry import TOOLS, Stroke, Tool


def _foreground(tool: Tool) -> npt.NDArray[np.uint8] | None:
    return tool.bench.maps(tool.bench.index()).get("foreground")


@TOOLS.register("split")
class SplitTool(Tool):
    """A line cuts; two clicks say where two cells are."""

    title = "Split"
    key = "Shift-S"
    help = "Draw a line where one cell ends and the next begins, or click both cells."
    place = 1
    drags = True

    _first: tuple[int, tuple[int, int]] | None = None

    def end(self) -> None:
        """Forget the first click."""
        self._first = None

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Take the first point in an object, or split it between two."""
        label, pixel = self.bench.object_at(position), self.bench.pixel(position)
        if not label or pixel is None:
            self._first = None
            self.bench.told.emit("Click within the object that is to be split.")
            return
        if self._first is None or self._first[0] != label:
            self._first = label, pixel
            self.bench.told.emit(f"Object {label}: now click the other cell in it.")
            return
        points, self._first = [self._first[1], pixel], None
        plane, objects = self.parts
        self.bench.edit(
            "Split",
            lambda: split_between(plane, objects, label, points, self.new_id, _foreground(self)),
        )

    def stroke(self, line: Stroke, modifiers: frozenset[str]) -> None:
        """Cut all objects that the line crosses."""
        self._first = None
        plane, objects = self.parts
        self.bench.edit("Split", lambda: split_along(plane, objects, line, self.new_id))


@TOOLS.register("split-into")
class SplitIntoTool(Tool):
    """A click splits an object into a number of pieces."""

    title = "Split into…"
    key = "Shift-N"
    help = "Click an object that is several cells; say how many beside the tools."
    place = 2
    options = ("pieces",)

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Split the object that was clicked."""
        label = self.bench.object_at(position)
        if not label:
            self.bench.told.emit("Click an object to split it.")
            return
        plane, objects = self.parts
        pieces = self.settings.pieces
        self.bench.edit(
            f"Split into {pieces}",
            lambda: split_into(plane, objects, label, pieces, self.new_id, _foreground(self)),
        )
