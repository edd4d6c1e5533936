"""What follows a fine-tuning: fit the child's post-processing, compare it with its parent."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.judgement.counts import METRICS
from napari_cellseg.core.finetuning.judgement.gate import Comparison, Gain, GateReport
from napari_cellseg.core.finetuning.material.material import Material
from napari_cellseg.core.finetuning.material.replay import ReplaySet
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.fitting.reviewed import Reviewed
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.fit import fit
from napari_cellseg.core.workflows.gate import compare
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.zoo.bundle import Model, load_untested
from napari_cellseg.core.zoo.contents import CARD_FILE, read_all, write_folder

_MOST_FITTED = 8  # pictures that the post-processing is fitted to


def fit_child(
    folder: Path, sources: Sequence[Source], device: str
) -> Generator[Progress, None, None]:
    """Fit the post-processing of a bundle to what it was trained on, where that gains anything.

    Parameters
    ----------
    folder
        The bundle; its card is rewritten.
    sources
        What the model was trained on, in its own pictures.
    device
        Where to compute.
    """
    model = load_untested(folder)
    recipe = Recipe.for_model(model.card)
    cases: list[Reviewed] = []
    for source in [one for one in sources if one.objects][:_MOST_FITTED]:
        cases += [(yield from _reviewed(model, recipe, source, device))]
    try:
        result = yield from fit(cases, recipe.post)
    except DataError:  # nothing that a fit could use: the parent's settings stay
        return
    if result.worthwhile:
        post = {**model.card.post, **{name: new for name, (_, new) in result.changes.items()}}
        card = model.card.replace(post=post)
        write_folder(folder, {**read_all(folder), CARD_FILE: card.to_json().encode()})


def _reviewed(
    model: Model, recipe: Recipe, source: Source, device: str
) -> Generator[Progress, None, Reviewed]:
    preparation = recipe.preparation.replace(channels=source.channels)
    own = recipe.replace(preparation=preparation.model_dump())
    with closing(segment(source.image, own, model=model, device=device)) as steps:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return Reviewed(stop.value.prediction, source.labels, source.known)
            yield replace(step, stage="Fitting")


def judge_child(
    parent: Model,
    folder: Path,
    material: Material,
    replay: ReplaySet,
    settings: FineTuneSettings,
    device: str,
) -> Generator[Progress, None, GateReport]:
    """Compare a child's bundle with its parent, on new data and on the parent's own."""
    child = load_untested(folder)
    new, old = _nothing(), None
    if material.judged:
        new = yield from compare(parent, child, material.judged, device=device, seed=settings.seed)
    if cases := replay.judged(rehearsed=settings.replay > 0):
        old = yield from compare(
            parent, child, cases, device=device, replay=True, seed=settings.seed
        )
    return GateReport.of(new, old, settings.margin)


def _nothing() -> Comparison:
    """Return the comparison on no object at all."""
    none = Gain(parent=0, child=0, difference=0, low=0, high=0)
    return Comparison(
        images=0,
        objects=0,
        level="objects",
        units=0,
        metrics=dict.fromkeys(METRICS, none),
        quality=none,
        chance=1.0,
    )
