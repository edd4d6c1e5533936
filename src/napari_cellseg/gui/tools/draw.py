"""Draw a cell that was missed."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cellseg.core.editing.draw import draw_polygon
from napari_cellseg.gui.tools.registry import TOOLS, Stroke, Tool


@TOOLS.register("draw")
class DrawTool(Tool):
    """An outline becomes a new object."""

    title = "Draw"
    key = "Shift-A"
    help = "Draw around a cell that was missed; neighbours keep their pixels."
    place = 4
    drags = True
    closed = True
    options = ("over",)

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Say what to do: a click draws nothing."""
        self.bench.told.emit("Hold the button and draw around the cell.")

    def stroke(self, line: Stroke, modifiers: frozenset[str]) -> None:
        """Make an object of what the line encloses."""
        plane, objects = self.parts
        over = self.settings.over
        self.bench.edit("Draw", lambda: draw_polygon(plane, objects, line, self.new_id(), over))
