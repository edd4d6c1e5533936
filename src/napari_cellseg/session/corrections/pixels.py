"""The labels under correction, and what is known of their objects without a pass over all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError
from napari_cellseg.session.corrections.delta import Delta, Index, Int32Array
from napari_cellseg.session.corrections.frozen import Freezer
from napari_cellseg.session.corrections.numbering import HIGHEST_ID
from napari_cellseg.session.corrections.planes import PlaneIndexes


class Pixels:
    """One labels array; changes of it are made, or told of, by `_change`, `_follow` and `_take`.

    Parameters
    ----------
    labels, write
        See `Document`.
    """

    def __init__(self, labels: Int32Array, write: Callable[[Delta], None] | None = None) -> None:
        self._write = write or (lambda pixels: pixels.write(self.labels))
        self._freezer = Freezer()
        self._begin(labels)

    def _begin(self, labels: Int32Array) -> None:
        """Take up labels of which nothing is known."""
        self.labels = labels
        self._freezer.leave()
        self._planes = PlaneIndexes()
        self._highest = int(labels.max(initial=0))

    def plane(self, index: Index) -> Int32Array:
        """Return one plane (Y, X), not to be written to."""
        view: Int32Array = self.labels[index].view()
        view.flags.writeable = False
        return view

    def objects(self, index: Index) -> ObjectIndex:
        """Return where the objects of one plane lie."""
        return self._planes.of(self.labels, index)

    def there(self, ids: Iterable[int]) -> set[int]:
        """Return those of the objects `ids` that there are, on whatever plane."""
        return self._planes.there(self.labels, ids)

    def size_of(self, label: int) -> int:
        """Return how many pixels an object has, on all planes together."""
        return self._planes.size_of(self.labels, label)

    def new_id(self) -> int:
        """Return a number that no object has or had; EditError if there is none left."""
        if self._highest >= HIGHEST_ID:  # as it was used, or before a renumbering
            self._highest = int(self.labels.max(initial=0))
        if self._highest >= HIGHEST_ID:
            raise EditError("No object numbers are left: renumber the objects first.")
        self._highest += 1
        return self._highest

    def _change(self, pixels: Delta) -> None:
        if pixels:
            self._freezer.note(pixels)
            self._write(pixels)
            self._follow(pixels)

    def _follow(self, pixels: Delta) -> None:
        """Learn that the labels changed."""
        self._highest = max(self._highest, int(pixels.after.max(initial=0)))
        self._planes.follow(self.labels, pixels)

    def _take(
        self,
        labels: Int32Array,
        pixels: Delta,
        objects: Mapping[Index, ObjectIndex] | None = None,
    ) -> None:
        """Take other labels of the same shape in place of the present ones."""
        self.labels = labels
        self._freezer.leave()
        self._highest = max(self._highest, int(pixels.after.max(initial=0)))
        self._planes.replaced(pixels, objects)
