"""Which stage of a run is the first that a change of settings makes necessary again."""

from __future__ import annotations

from typing import Literal, get_args

from napari_cellseg.core.postprocess.registry import stage_of
from napari_cellseg.core.recipe import Recipe

Stage = Literal["prepare", "predict", "threshold", "split", "grow", "clean"]
STAGES: tuple[Stage, ...] = get_args(Stage)


def first_stage(last: Recipe, new: Recipe) -> Stage | None:
    """Return the first stage to rerun when `last` becomes `new`, None if nothing changed.

    From ``"threshold"`` on the kept probability maps suffice; before it the network must run.
    """
    if last.preparation != new.preparation:
        return "prepare"
    if (last.model, last.weights_sha256, last.tiling) != (
        new.model,
        new.weights_sha256,
        new.tiling,
    ):
        return "predict"
    changed = [
        stage_of(name)
        for name in type(new.post).model_fields
        if getattr(last.post, name) != getattr(new.post, name)
    ]
    return min(changed, key=STAGES.index, default=None)


def needs_network(last: Recipe, new: Recipe) -> bool:
    """Tell whether going from `last` to `new` needs the network, not only the kept maps."""
    return first_stage(last, new) in ("prepare", "predict")
