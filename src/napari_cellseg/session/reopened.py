"""A run out of saved work: its sliders move again, and the network is not needed."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.classify import classify
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.provenance import RunRecord
from napari_cellseg.core.saved.entries import ImageReference
from napari_cellseg.core.saved.work import SavedWork
from napari_cellseg.session.corrections.decided import Decided
from napari_cellseg.session.planes import Planes
from napari_cellseg.session.run import Run


def run_of(work: SavedWork, decided: Decided) -> Generator[Progress, None, Run]:
    """Return the run that saved labels came from, with the labels as they are now.

    Parameters
    ----------
    work
        What was saved.
    decided
        The labels on screen, which nothing changes, and what was decided about them.

    Raises
    ------
    DataError
        If the labels do not come from a run, or have another shape by now.
    SettingsError
        If the record of the run is damaged.
    """
    prediction, recipe, reference = work.prediction, work.recipe, work.image
    if prediction is None or recipe is None or reference is None:
        raise DataError("These labels do not come from a run: run the network again.")
    if prediction.shape != decided.labels.shape:
        raise DataError("The labels have another shape than their maps: run the network again.")
    told = work.labels.provenance
    record = RunRecord.parse({name: told[name] for name in RunRecord.model_fields if name in told})
    planes = Planes(prediction)
    _, removed = yield from planes.all_planes(recipe.post)
    classes = classify(decided.labels, prediction.classes) if prediction.classes else None
    run = Run(
        _without_pixels(reference, work),
        recipe,
        record,
        planes,
        decided.labels,
        removed,
        decided.locks(),
        work.mask,
        classes,
    )
    return replace(run, record=run.new_record())  # of the objects that are left


def _without_pixels(reference: ImageReference, work: SavedWork) -> Image:
    """Return what a run has to know of its image, the planes that were segmented."""
    pixels = np.broadcast_to(np.zeros((), reference.dtype), reference.shape)
    box = {axis: slice(start, stop) for axis, start, stop in work.box if axis in "TZ"}
    return Image(
        pixels[tuple(box.get(axis, slice(None)) for axis in reference.axes)],
        reference.axes,
        reference.pixel_size,
        reference.z_step,
        reference.channel_names,
        reference.rgb,
        reference.name,
    )
