"""Step: which pixels are cell at all."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess._kernels.bits import pack_above
from napari_cellseg.core.postprocess.registry import STEPS, Source, Stage, Step
from napari_cellseg.core.postprocess.state import State


class ThresholdParams(Params):
    """Settings of the foreground threshold."""

    foreground_threshold: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Foreground threshold",
        description="Pixels with a higher probability belong to cells. "
        "Lower it to find faint cells; raise it to tighten outlines.",
        json_schema_extra={"unit": "probability"},
    )


def level(threshold: float) -> int:
    """Return the uint8 level that a map must exceed: map value 255 means probability 1."""
    return int(threshold * 255 + 1e-9)


@STEPS.register("threshold")
class Threshold(Step):
    """Keeps pixels whose foreground probability exceeds the threshold."""

    Params = ThresholdParams
    stage: ClassVar[Stage] = "threshold"
    source: ClassVar[Source] = "maps"

    def key(self, params: ThresholdParams) -> tuple[object, ...]:
        """Thresholds within the same level of the map give the same mask."""
        return (level(params.foreground_threshold),)

    def run(self, state: State, params: ThresholdParams) -> State:
        """Return the state with its mask."""
        mask = pack_above(state.maps["foreground"], level(params.foreground_threshold))
        return replace(state, mask=mask)
