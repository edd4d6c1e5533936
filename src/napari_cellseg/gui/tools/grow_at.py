"""Take a cell that was missed, or merged with others, out of the probability map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.grow import grow_at
from napari_cellseg.core.editing.part import part_at
from napari_cellseg.gui.correct.workbench import Pixel
from napari_cellseg.gui.tools.registry import TOOLS, Tool

_Map = npt.NDArray[np.uint8]


@TOOLS.register("grow-at")
class GrowAtTool(Tool):
    """A click finds the most stable outline around it; Alt or Shift and a click the next one.

    On an object it parts that one, if the model saw several cells in it.
    """

    title = "Find at click"
    key = "Shift-G"
    help = (
        "Click a cell that was missed; Alt-click it for a larger outline, Shift for a smaller. "
        "Click an object that is several cells to part it."
    )
    place = 5

    _last: tuple[tuple[int, ...], tuple[int, int], int, int] | None = None
    """Plane, pixel, level and version of the last find."""

    def end(self) -> None:
        """Forget the last find."""
        self._last = None

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Find the cell at the pixel that was clicked."""
        pixel, index = self.bench.pixel(position), self.bench.index()
        maps = self.bench.maps(index)
        foreground, contour = maps.get("foreground"), maps.get("contour")
        if foreground is None:
            self.bench.told.emit(
                "These labels have no probability map: run a model in the tab Segment, or draw "
                "the cell."
            )
            return
        binding = self.bench.binding
        if pixel is None or binding is None:
            return
        by = 1 if "Alt" in modifiers else -1 if "Shift" in modifiers else 0
        level, another = 0, bool(by) and self._continues(index, pixel)
        if not another and binding.document.plane(index)[pixel]:
            self._part(pixel, foreground, contour)
            return
        if another and self._last is not None:
            pixel, level = self._last[1], self._last[2] + by
            binding.undo()
        plane, objects = self.parts
        point = (float(pixel[0]), float(pixel[1]))
        step = self.bench.edit(
            "Find at click",
            lambda: grow_at(
                plane, objects, foreground, point, self.new_id(), level, contour=contour
            ),
        )
        if another and step is None:
            binding.redo()  # there is no such outline: the last one comes back
            level -= by
        if another or step is not None:
            self._last = index, pixel, level, binding.document.version

    def _part(self, pixel: Pixel, foreground: _Map, contour: _Map | None) -> None:
        """Part the object that was clicked, where the model saw several cells in it."""
        plane, objects = self.parts
        step = self.bench.edit(
            "Part at click",
            lambda: part_at(plane, objects, foreground, pixel, self.new_id, contour=contour),
        )
        self._last = None
        if step is not None:
            self.bench.told.emit(f"Parted into {len(step.pixels.ids)} cells, as the model saw it.")

    def _continues(self, index: tuple[int, ...], pixel: tuple[int, int]) -> bool:
        """Whether nothing happened since the last find, and this click is on it."""
        binding = self.bench.binding
        if binding is None or self._last is None or self._last[0] != index:
            return False
        if binding.document.version != self._last[3]:
            return False
        plane = binding.document.plane(index)
        return bool(plane[pixel]) and plane[pixel] == plane[self._last[1]]
