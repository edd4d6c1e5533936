"""Take objects away."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cellseg.core.editing.delete import delete, objects_in_lasso
from napari_cellseg.core.errors import EditError
from napari_cellseg.gui.tools.registry import TOOLS, Stroke, Tool


@TOOLS.register("delete")
class DeleteTool(Tool):
    """A click deletes one object, a lasso all that lie in it."""

    title = "Delete"
    key = "Shift-D"
    help = "Click an object to delete it, or draw a lasso around many."
    place = 3
    drags = True
    closed = True

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Delete the object that was clicked."""
        label = self.bench.object_at(position)
        if label:
            self._delete([label])
        else:
            self.bench.told.emit("There is no object to delete.")

    def stroke(self, line: Stroke, modifiers: frozenset[str]) -> None:
        """Delete the objects of which more than half lies inside the line."""
        plane, objects = self.parts
        try:
            inside = objects_in_lasso(plane, objects, line)
        except EditError as error:
            self.bench.told.emit(str(error))
            return
        if inside.size:
            self._delete(inside.tolist())
        else:
            self.bench.told.emit("No object lies in the lasso by more than half.")

    def _delete(self, ids: list[int]) -> None:
        plane, objects = self.parts
        name = "Delete" if len(ids) == 1 else f"Delete {len(ids)} objects"
        self.bench.edit(name, lambda: delete(plane, objects, ids))
