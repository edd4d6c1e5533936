"""Step: which of the objects that a detection network proposes count."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess.registry import STEPS, Source, Stage, Step
from napari_cellseg.core.postprocess.state import State


class CandidatesParams(Params):
    """Settings of the choice of candidates."""

    score_threshold: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Score threshold",
        description="Only for models that find objects one by one: candidates with a lower score "
        "are no cells. Lower it to find faint cells.",
        json_schema_extra={"unit": "probability"},
    )
    nms_threshold: float = Field(
        0.5,
        ge=0.0,
        le=0.8,
        title="Overlap of boxes",
        description="Only for models that find objects one by one: of two candidates whose boxes "
        "overlap by more than this share (intersection over union), only the better counts.",
        json_schema_extra={"unit": "ratio"},
    )


@STEPS.register("candidates")
class Candidates(Step):
    """Keeps candidates of sufficient score that no better one overlaps too much."""

    Params = CandidatesParams
    stage: ClassVar[Stage] = "threshold"
    source: ClassVar[Source] = "instances"

    def run(self, state: State, params: CandidatesParams) -> State:
        """Return the state with the chosen candidates."""
        if state.instances is None:
            return state
        kept = state.instances.without_overlaps(params.nms_threshold)
        certain = state.instances.instances.scores >= params.score_threshold
        return replace(state, chosen=np.flatnonzero(kept & certain))
