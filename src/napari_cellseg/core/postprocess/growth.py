"""Step: moves the outline of every cell outward or inward."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess._kernels.bits import dilate, pack_above, shrink_once
from napari_cellseg.core.postprocess._objects import add_components, renumber, start_labels
from napari_cellseg.core.postprocess.registry import STEPS, Stage, Step
from napari_cellseg.core.postprocess.state import State, Words


class GrowthParams(Params):
    """Settings of growing and shrinking."""

    growth: int = Field(
        0,
        ge=-20,
        le=20,
        title="Grow or shrink",
        description="Move every outline outward (above 0) or inward (below 0). Growing cells "
        "stop where they meet; a cell that shrinking cuts in two becomes two.",
        json_schema_extra={"unit": "px"},
    )


@STEPS.register("growth")
class Growth(Step):
    """Grows or shrinks each object by an octagon; the border of the picture is no outline."""

    Params = GrowthParams
    stage: ClassVar[Stage] = "grow"

    def reach(self, params: GrowthParams) -> int:
        """Growth looks as far as it moves an outline."""
        return abs(params.growth)

    def run(self, state: State, params: GrowthParams) -> State:
        """Return the state with larger or smaller objects; those that vanish are noted."""
        if params.growth > 0:
            return _grow(state, params.growth)
        return _shrink(state, -params.growth) if params.growth < 0 else state


def _grow(state: State, radius: int) -> State:
    state = replace(state, labels=state.labels.copy(), areas=state.areas.copy())
    done = pack_above(state.labels[1:-1, 1:-1], 0)
    free = dilate(done, state.width, radius) & ~done
    state.kernels.spread(state.labels, free, done, state.areas, radius, True)
    return state


def _shrink(state: State, radius: int) -> State:
    # The first round leaves no two objects side by side, so that the others can be binary.
    rest = _without_rim(state)
    for step in range(1, radius):
        rest = shrink_once(rest, state.width, square=step % 2 == 1)
    smaller = add_components(start_labels(state), rest)
    vanished = np.ones(len(state.areas), bool)
    vanished[state.labels[smaller.labels > 0]] = False
    vanished[0] = False
    if not vanished.any():
        return smaller
    _, gone = renumber(state, {"growth": np.flatnonzero(vanished)})
    return replace(smaller, removed={**state.removed, **gone})


def _without_rim(state: State) -> Words:
    """Pack the pixels of objects whose 4 neighbours within the picture are of the same object."""
    labels = state.labels[1:-1, 1:-1]
    inside = labels > 0
    same_below = labels[1:] == labels[:-1]
    inside[1:] &= same_below
    inside[:-1] &= same_below
    same_right = labels[:, 1:] == labels[:, :-1]
    inside[:, 1:] &= same_right
    inside[:, :-1] &= same_right
    return pack_above(inside, 0)
