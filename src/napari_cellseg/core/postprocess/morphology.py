"""Step: smooths the foreground mask by opening, then closing."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess._kernels.bits import dilate, erode, grow_once, unpack
from napari_cellseg.core.postprocess.registry import STEPS, Source, Stage, Step
from napari_cellseg.core.postprocess.state import State, Words


class MorphologyParams(Params):
    """Settings of opening and closing."""

    opening: int = Field(
        0,
        ge=0,
        le=20,
        title="Opening",
        description="Removes specks and thin bridges up to twice this radius wide. "
        "Cells that hang together only by such a bridge become separate.",
        json_schema_extra={"unit": "px"},
    )
    closing: int = Field(
        0,
        ge=0,
        le=20,
        title="Closing",
        description="Closes gaps and notches in the foreground up to twice this radius wide.",
        json_schema_extra={"unit": "px"},
    )


@STEPS.register("morphology")
class Morphology(Step):
    """Opens, then closes the mask with an octagon; the border of the picture changes nothing.

    It works before the split, so every piece that an opening leaves can be a cell of its own.
    """

    Params = MorphologyParams
    stage: ClassVar[Stage] = "threshold"
    place = 1
    source: ClassVar[Source] = "maps"

    def reach(self, params: MorphologyParams) -> int:
        """Return twice the radii: each looks that far."""
        return 2 * (params.opening + params.closing)

    def run(self, state: State, params: MorphologyParams) -> State:
        """Return the state with a smoother mask; islands that vanish whole are noted."""
        width, before = state.width, state.mask
        if params.opening:
            opened = dilate(erode(before, width, params.opening), width, params.opening)
            state = self._note_lost(replace(state, mask=opened), before)
        if params.closing:
            closed = erode(dilate(state.mask, width, params.closing), width, params.closing)
            state = replace(state, mask=closed)
        return state

    def _note_lost(self, state: State, before: Words) -> State:
        """Note islands that are lost whole: no pixel they lost has a neighbour that is left."""
        lost = before & ~state.mask
        runs = state.kernels.components(lost, state.width, True)
        beside = lost & grow_once(state.mask, state.width, square=True)
        whole = state.kernels.peaks(unpack(beside, state.width), runs) == 0
        whole[0] = False
        return state.with_removed("opening", runs, whole)
