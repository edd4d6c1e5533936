"""Which images lie below the labels, and which of them are measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer

from napari_cellseg.gui.geometry import Box
from napari_cellseg.gui.layers import PASSING_KEY
from napari_cellseg.gui.measure.place import fitting_axes


@dataclass(frozen=True, eq=False)
class FittingImage:
    """An image layer, what its axes are, and its part below the labels."""

    layer: ImageLayer
    axes: str
    box: Box


class ImageChoice:
    """Remembers which images are ticked; at first all that are visible."""

    def __init__(self) -> None:
        self._ticks: WeakKeyDictionary[ImageLayer, bool] = WeakKeyDictionary()
        self.fitting: list[FittingImage] = []

    def look(self, layers: Iterable[ImageLayer], labels: LabelsLayer | None, axes: str) -> None:
        """Find out which of the layers lie below the labels."""
        self.fitting = []
        for layer in layers:
            found = None
            if labels is not None and not layer.metadata.get(PASSING_KEY):
                found = fitting_axes(layer, labels, axes)
            if found is not None:
                self.fitting.append(FittingImage(layer, *found))

    def tick(self, layer: ImageLayer, on: bool) -> None:
        """Measure a layer or not."""
        self._ticks[layer] = on

    def is_ticked(self, layer: ImageLayer) -> bool:
        """Tell whether a layer is measured."""
        return self._ticks.get(layer, bool(layer.visible))

    @property
    def chosen(self) -> tuple[FittingImage, ...]:
        """The images to measure."""
        return tuple(one for one in self.fitting if self.is_ticked(one.layer))
