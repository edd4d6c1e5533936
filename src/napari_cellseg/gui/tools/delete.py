"""Take objects away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing.delete import delete, objects_in_lasso
from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError
from napari_cellseg.gui.tools.registry import TOOLS, Stroke, Tool
from napari_cellseg.session.corrections.ahead import LARGE


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
        if self.large is not None and _extent(line) > LARGE:
            self.large.edit(partial(_edits, line), _name, "Deleting the objects in the lasso")
            return
        try:
            inside = _inside(plane, objects, line)
        except EditError as error:
            self.bench.told.emit(str(error))
            return
        self._delete(inside.tolist())

    def _delete(self, ids: list[int]) -> None:
        plane, objects = self.parts
        self.bench.edit(_name(len(ids)), lambda: delete(plane, objects, ids))


def _name(count: int) -> str:
    return "Delete" if count == 1 else f"Delete {count} objects"


def _extent(line: Stroke) -> float:
    """Return how many pixels the box of a line has."""
    return float(np.prod(np.ptp(line, axis=0)))


def _inside(plane: npt.NDArray[Any], objects: ObjectIndex, line: Stroke) -> npt.NDArray[Any]:
    found = objects_in_lasso(plane, objects, line)
    if not found.size:
        raise EditError("No object lies in the lasso by more than half.")
    return found


def _edits(line: Stroke, plane: npt.NDArray[Any], objects: ObjectIndex) -> list[Edit]:
    """Return what takes away the objects in a lasso (in a worker)."""
    return delete(plane, objects, _inside(plane, objects, line).tolist())
