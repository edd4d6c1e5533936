"""Gathers what is saved of a labels layer: quickly here, the slow part in `Collected.write`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading import SUFFIXES
from napari_cellseg.core.saved.entries import Box
from napari_cellseg.core.saved.image import reference_of
from napari_cellseg.core.saved.work import SavedWork
from napari_cellseg.core.saved.writing import write_work
from napari_cellseg.gui import conversion
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.saved.opened import (
    BELONGS_KEY,
    IMAGE_FILE_KEY,
    WORK_KEY,
    Belongs,
)
from napari_cellseg.session.run import Run

_LARGEST_PIXELS = 2**30  # bytes of an image without a file that are saved with the labels
_PLACE = ("scale", "translate", "rotate", "shear", "affine")


@dataclass(frozen=True, eq=False)
class Collected:
    """All that is saved, without a layer in it: it may go to a worker.

    Attributes
    ----------
    labels, history, view, box
        As of `SavedWork`.
    image
        The whole image.
    run
        The run that the labels come from, None if they come from elsewhere.
    before
        The work that they were opened from, as long as no tab has made a run of it.
    belongs
        Which image they belong to, if they come from saved work: that one alone, and not one that
        only looks like it, takes its place.
    """

    labels: Labels
    image: Image | None = None
    run: Run | None = None
    before: SavedWork | None = None
    belongs: Belongs | None = None
    box: Box = ()
    history: tuple[dict[str, Any], ...] = ()
    view: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Look at the image's pixels and write everything.

        Raises
        ------
        OutputError
            As of `write_work`.
        """
        image, pixels, known = self.image, None, self.belongs
        if image is not None and not _has_file(image):
            image = replace(image, source=None)
            small = np.prod(image.shape, dtype=float) * image.dtype.itemsize <= _LARGEST_PIXELS
            pixels = image if small else None
        work = replace(
            self._of_run(),
            labels=self.labels,
            image=None if image is None else reference_of(image),
            pixels=pixels,
            box=self.box,
            history=self.history,
            view=self.view,
        )
        if known is not None and (work.image is None or work.image.sha256 != known.image.sha256):
            view = {**self.view, "image": dict(known.view)}
            pixels = self.before.pixels if self.before is not None else None
            work = replace(work, image=known.image, pixels=pixels, box=known.box, view=view)
        write_work(path, work)

    def _of_run(self) -> SavedWork:
        run, before = self.run, self.before
        if run is not None:
            prediction = run.planes.prediction
            return SavedWork(self.labels, recipe=run.recipe, prediction=prediction, mask=run.mask)
        return before if before is not None else SavedWork(self.labels)


def collect(layer: LabelsLayer, binding: Binding | None, layers: Iterable[Any]) -> Collected:
    """Return what is to be saved of a labels layer, as it is now.

    Parameters
    ----------
    layer
        The layer; what was decided about it is noted in its metadata already.
    binding
        What it is corrected by, None if by nothing.
    layers
        Where to look for the image, where no run tells it.

    Raises
    ------
    ImageError
        If the layer holds no object numbers.
    """
    attributes = layer.as_layer_data_tuple()[1]
    labels = conversion.to_labels(layer.data, attributes)
    earlier = tuple(labels.provenance.get(conversion.HISTORY_KEY, ()))
    rest = {k: v for k, v in labels.provenance.items() if k != conversion.HISTORY_KEY}
    run = binding.run if binding is not None else None
    before = layer.metadata.get(WORK_KEY) if run is None else None
    shape = labels.data.shape
    run = run if run is not None and run.planes.shape == shape else None
    before = before if before is not None and before.labels.data.shape == shape else None
    source, axes, box = _origin(binding, layers, labels)
    view: dict[str, Any] = {"labels": _placed(layer)}
    image = None
    if source is not None:
        image = conversion.to_image(source, axes)
        file = source.metadata.get(IMAGE_FILE_KEY)
        image = replace(image, source=Path(file)) if file else image
        view["image"] = {**_placed(source), **_looks(source)}
    history = earlier if binding is None else tuple(binding.log.entries)
    labels = replace(labels, provenance=rest)
    if before is not None:
        box = before.box
        view = {**before.view, **view}
    belongs = layer.metadata.get(BELONGS_KEY)
    if not isinstance(belongs, Belongs) or belongs.shape != shape:
        belongs = None
    run = run if image is not None or belongs is not None else None
    return Collected(labels, image, run, before, belongs, box, history, view)


def _origin(
    binding: Binding | None, layers: Iterable[Any], labels: Labels
) -> tuple[ImageLayer | None, str, Box]:
    """Return the image layer, its axes and the part of it that the labels cover."""
    there = [one for one in layers if isinstance(one, ImageLayer)]
    if binding is not None and binding.origin:
        source, axes, box = binding.origin
        if source in there or binding.run is not None:
            return source, axes, tuple(box)
    for one in sorted(there, key=lambda one: one.visible, reverse=True):
        try:
            axes = conversion.guess_layer_axes(one).axes
            image = conversion.to_image(one, axes)
        except ImageError:
            continue
        if (*image.leading, image.size("Y"), image.size("X")) == labels.data.shape:
            return one, axes, ()
    return None, "", ()


def _placed(layer: Any) -> dict[str, Any]:
    state = {name: np.asarray(getattr(layer, name), float).tolist() for name in _PLACE[:-1]}
    return {
        **state,
        "affine": np.asarray(layer.affine.affine_matrix, float).tolist(),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
        "name": layer.name,
        "opacity": float(layer.opacity),
        "visible": bool(layer.visible),
    }


def _looks(layer: ImageLayer) -> dict[str, Any]:
    if layer.rgb:
        return {}
    return {
        "contrast_limits": [float(value) for value in layer.contrast_limits],
        "gamma": float(layer.gamma),
        "colormap": layer.colormap.name,
        "blending": str(layer.blending),
    }


def _has_file(image: Image) -> bool:
    path = image.source
    return path is not None and path.suffix.lower() in SUFFIXES and path.is_file()
