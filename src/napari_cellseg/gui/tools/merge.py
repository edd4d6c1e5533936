"""Make one object of several."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cellseg.core.editing.merge import merge, merge_along
from napari_cellseg.gui.tools.registry import TOOLS, Stroke, Tool


@TOOLS.register("merge")
class MergeTool(Tool):
    """Click after click adds to the first object; a line merges all that it crosses."""

    title = "Merge"
    key = "Shift-M"
    help = "Click the parts of one cell one after the other, or draw a line across them."
    place = 0
    drags = True
    options = ("bridge",)

    _first = 0

    def end(self) -> None:
        """Forget the first object."""
        self._first = 0

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Take the first object, or merge another with it."""
        label = self.bench.object_at(position)
        if self._first not in self.parts[1]:  # undo took it away
            self._first = 0
        if not label:
            self._first = 0
            self.bench.told.emit("Click an object: the next ones that you click become part of it.")
        elif not self._first or label == self._first:
            self._first = label
            self.bench.told.emit(f"Object {label}: click what belongs to it.")
        else:
            self._merge([self._first, label])

    def _merge(self, ids: list[int]) -> None:
        plane, objects = self.parts
        bridge = self.settings.bridge
        if self.bench.edit("Merge", lambda: merge(plane, objects, ids, bridge)) is not None:
            # The number that is left is that of the largest.
            _, objects = self.parts
            self._first = next(i for i in ids if i in objects)

    def stroke(self, line: Stroke, modifiers: frozenset[str]) -> None:
        """Merge all objects that the line crosses."""
        self._first = 0
        plane, objects = self.parts
        bridge = self.settings.bridge
        self.bench.edit("Merge", lambda: merge_along(plane, objects, line, bridge))
