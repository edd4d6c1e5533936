"""Change the outline of one object by a click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.editing.shape import erode, fill_holes, grow, smooth
from napari_cellseg.gui.tools.registry import TOOLS, Tool


class _ClickTool(Tool):
    """Does one thing to the object that is clicked."""

    def change(self, plane: Any, objects: Any, label: int) -> Callable[[], list[Edit]]:
        """Return what is to be done."""
        raise TypeError("a tool must say what it does")

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Change the object that was clicked."""
        label = self.bench.object_at(position)
        if label:
            self.bench.edit(self.title, self.change(*self.parts, label))
        else:
            self.bench.told.emit("Click an object.")


@TOOLS.register("fill-holes")
class FillHolesTool(_ClickTool):
    """Fill the holes of an object."""

    title = "Fill holes"
    key = "Shift-H"
    help = "Click an object to fill its holes; other objects within it stay."
    place = 6

    def change(self, plane: Any, objects: Any, label: int) -> Callable[[], list[Edit]]:
        """Return what fills the holes."""
        return lambda: fill_holes(plane, objects, label)


@TOOLS.register("smooth")
class SmoothTool(_ClickTool):
    """Smooth the outline of an object."""

    title = "Smooth"
    key = "Shift-O"
    help = "Click an object to smooth its outline."
    place = 7
    options = ("radius",)

    def change(self, plane: Any, objects: Any, label: int) -> Callable[[], list[Edit]]:
        """Return what smooths."""
        return lambda: smooth(plane, objects, label, self.settings.radius)


@TOOLS.register("erode")
class ErodeTool(_ClickTool):
    """Make an object smaller."""

    title = "Erode"
    key = "Shift-E"
    help = "Click an object to take pixels off its outline."
    place = 8
    options = ("step",)

    def change(self, plane: Any, objects: Any, label: int) -> Callable[[], list[Edit]]:
        """Return what erodes."""
        return lambda: erode(plane, objects, label, self.settings.step)


@TOOLS.register("grow")
class GrowTool(_ClickTool):
    """Make an object larger."""

    title = "Grow"
    key = "Shift-W"
    help = "Click an object to add pixels around it; neighbours keep theirs."
    place = 9
    options = ("step",)

    def change(self, plane: Any, objects: Any, label: int) -> Callable[[], list[Edit]]:
        """Return what grows."""
        return lambda: grow(plane, objects, label, self.settings.step)
