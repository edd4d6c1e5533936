"""Step: paints the chosen candidates of a detection network, the most certain first."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess._kernels.bits import pack_above
from napari_cellseg.core.postprocess._objects import start_labels
from napari_cellseg.core.postprocess.registry import STEPS, Source, Stage, Step
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.postprocess.state import State
from napari_cellseg.core.postprocess.threshold import level


class PaintingParams(Params):
    """Settings of the outlines of candidates."""

    mask_threshold: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Mask threshold",
        description="Only for models that find objects one by one: pixels with a higher "
        "probability belong to the cell. Raise it to tighten outlines.",
        json_schema_extra={"unit": "probability"},
    )
    min_visible: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Smallest visible share",
        description="Only for models that find objects one by one: where cells overlap the better "
        "one is seen; remove cells of which less than this share is left.",
        json_schema_extra={"unit": "ratio"},
    )


@STEPS.register("painting")
class Painting(Step):
    """Turns candidates into labels, numbered by falling score; overlaps go to the higher score."""

    Params = PaintingParams
    stage: ClassVar[Stage] = "split"
    source: ClassVar[Source] = "instances"

    def key(self, params: PaintingParams) -> tuple[object, ...]:
        """Thresholds within the same level of the masks give the same outlines."""
        return level(params.mask_threshold), params.min_visible

    def run(self, state: State, params: PaintingParams) -> State:
        """Return the state with labels and their mask."""
        if state.instances is None:
            return state
        pixels = state.instances.pixels((state.crop.rows, state.crop.columns))
        inside = pixels.value > level(params.mask_threshold)
        canvas = np.zeros(state.crop.size[0] * state.crop.size[1], np.int32)
        areas, hidden = [0], []
        for candidate in state.chosen:
            here = slice(pixels.bounds[candidate], pixels.bounds[candidate + 1])
            position = pixels.position[here][inside[here]]
            free = position[canvas[position] == 0]
            if len(free) < params.min_visible * len(position):
                hidden.append(position)
            elif len(free):
                canvas[free] = len(areas)
                areas.append(len(free))
        state = start_labels(state)
        state.labels[1:-1, 1:-1] = canvas.reshape(state.crop.size)
        return replace(
            state,
            mask=pack_above(state.labels[1:-1, 1:-1], 0),
            areas=np.array(areas, np.int64),
            order=np.arange(1, len(areas)),
            removed={**state.removed, "min_visible": _removed(state, hidden)},
        )


def _removed(state: State, hidden: list[npt.NDArray[np.int64]]) -> Removed:
    bounds = np.concatenate([[0], np.cumsum([len(position) for position in hidden])])
    pixels = np.concatenate([np.zeros(0, np.int64), *hidden])
    positions = state.crop.position(*np.divmod(pixels, state.width))
    return Removed("min_visible", state.crop.shape, positions, bounds.astype(np.int64))
