"""Step: drops objects that are too small or too large."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess.registry import STEPS, Stage, Step
from napari_cellseg.core.postprocess.state import State


class AreaParams(Params):
    """Settings of the allowed range of sizes."""

    min_area: int = Field(
        16,
        ge=0,
        le=1_000_000,
        title="Smallest area",
        description="Remove cells with fewer pixels.",
        json_schema_extra={"unit": "px"},
    )
    max_area: int = Field(
        0,
        ge=0,
        le=100_000_000,
        title="Largest area",
        description="Remove cells with more pixels; 0 sets no limit.",
        json_schema_extra={"unit": "px"},
    )


@STEPS.register("area")
class Area(Step):
    """Drops objects by area; one that the margin of a part cuts off is never called too small."""

    Params = AreaParams
    stage: ClassVar[Stage] = "clean"

    def run(self, state: State, params: AreaParams) -> State:
        """Return the state with too small and too large objects marked."""
        small = (state.areas < params.min_area) & ~state.touching(state.crop.cut_sides())
        state = state.drop("min_area", small)
        if params.max_area:
            state = state.drop("max_area", state.areas > params.max_area)
        return state
