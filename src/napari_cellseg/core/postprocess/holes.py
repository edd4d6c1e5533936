"""Step: fills holes inside cells."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess._kernels.bits import inverse
from napari_cellseg.core.postprocess.registry import STEPS, Stage, Step
from napari_cellseg.core.postprocess.state import State


class HolesParams(Params):
    """Settings of the filling of holes."""

    fill_holes: bool = Field(
        True,
        title="Fill holes",
        description="Fill background that one cell encloses completely. "
        "Gaps between several cells stay open.",
        json_schema_extra={"unit": ""},
    )


@STEPS.register("holes")
class Holes(Step):
    """Gives each 4-connected piece of background that touches one object only to that object.

    It works on the label image that the split has just made, in place: both are one stage.
    """

    Params = HolesParams
    stage: ClassVar[Stage] = "split"
    place = 1

    def run(self, state: State, params: HolesParams) -> State:
        """Return the state with its holes filled."""
        if not params.fill_holes:
            return state
        background = state.kernels.components(inverse(state.mask, state.width), state.width, False)
        owner = state.kernels.owners(state.labels, background)
        state.kernels.paint(state.labels, np.zeros_like(state.mask), background, owner)
        state.areas[:] += np.bincount(owner, background.areas(), len(state.areas)).astype(np.int64)
        state.areas[0] = 0
        return state
