"""Run a fine-tuned model and its parent on the same labelled images."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.judgement.chance import Tallied
from napari_cellseg.core.finetuning.judgement.gate import Comparison, comparison
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.fitting.reviewed import trusted_objects
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card

__all__ = ["Comparison", "compare"]

COMPARING = "Comparing"


def compare(
    parent: Model,
    child: Model,
    cases: Sequence[Source],
    *,
    device: str = "auto",
    replay: bool = False,
    seed: int = 0,
) -> Generator[Progress, None, Comparison]:
    """Segment images with both models and score them side by side.

    Each model is run as `segment` runs it by the defaults of its card. On the parent's own data
    both have the parent's settings: a child whose thresholds and diameter were made for larger
    cells has forgotten nothing if it finds nuclei as before once it is told to look for nuclei.

    Only what is known counts: objects of which most is known, and predicted objects that match one
    of them or lie at least half where things are known.

    Parameters
    ----------
    parent, child
        The models.
    cases
        Images with right objects that neither model was trained on.
    device
        Where to compute.
    replay
        Whether these are data of the parent, at the network's own scale: the parent's settings of
        post-processing hold for both models, and nothing is rescaled.
    seed
        Of the random draws behind intervals.

    Yields
    ------
    Progress
        With every step of a segmentation, so that it can be cancelled there.

    Raises
    ------
    DataError
        If there is no case.
    ChannelError, DeviceError, ModelError
        As `segment` says.
    """
    if not cases:
        raise DataError("There is no image to compare the models on: correct some more objects.")
    tallied = []
    total = 2 * len(cases)
    for number, case in enumerate(cases):
        labels = []
        for turn, model in enumerate((parent, child)):
            started = Progress(COMPARING, 2 * number + turn, total)
            recipe = Recipe.for_model(model.card)
            if replay:
                recipe = as_by(parent.card, recipe)
            labels.append((yield from _labels(model, recipe, case, device, started)))
        known = np.ones(case.labels.shape, bool) if case.known is None else case.known
        truth, known = trusted_objects(case.labels, known)
        tallied.append(Tallied.of(truth, known, *labels))
    yield Progress(COMPARING, total, total)
    return comparison(tallied, seed)


def as_by(card: Card, recipe: Recipe) -> Recipe:
    """Return a recipe with the post-processing of another card, for images at network scale."""
    preparation = recipe.preparation.replace(diameter=None, rescale="off")
    return recipe.replace(preparation=preparation.model_dump(), post=PostParams.parse(card.post))


def _labels(
    model: Model, recipe: Recipe, case: Source, device: str, progress: Progress
) -> Generator[Progress, None, npt.NDArray[np.int32]]:
    """Segment one image, and tell the steps of that as steps of the comparison."""
    preparation = recipe.preparation.replace(channels=case.channels)
    recipe = recipe.replace(preparation=preparation.model_dump())
    with closing(segment(case.image, recipe, model=model, device=device)) as run:
        while True:
            try:
                step = next(run)
            except StopIteration as stop:
                labels: npt.NDArray[np.int32] = stop.value.labels.data
                return labels
            yield replace(progress, message=step.message)
