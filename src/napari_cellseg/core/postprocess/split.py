"""Step: which foreground pixels belong to which cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.postprocess._by_contour import split_by_contour
from napari_cellseg.core.postprocess._by_distance import split_by_distance
from napari_cellseg.core.postprocess._contour_ends import LONGEST
from napari_cellseg.core.postprocess._objects import add_components, start_labels
from napari_cellseg.core.postprocess.registry import STEPS, Source, Stage, Step
from napari_cellseg.core.postprocess.state import State
from napari_cellseg.core.postprocess.threshold import level


class SplitParams(Params):
    """Settings of the split of touching cells."""

    split: Literal["contour", "distance", "none"] = Field(
        "contour",
        title="Split touching cells",
        description="contour: along the outlines that the model sees. distance: at the waists "
        "of the foreground, for round cells. none: whatever touches is one object.",
    )
    contour_threshold: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Contour threshold",
        description="Only for split by contour: pixels with a higher contour probability "
        "separate cells. Lower it to split more.",
        json_schema_extra={"unit": "probability", "only_if": {"split": "contour"}},
    )
    contour_gap: int = Field(
        0,
        ge=0,
        le=20,
        title="Close contour gaps",
        description="Only for split by contour: also cut cells apart where their contour is "
        "visible only in part, with gaps up to about twice this wide. 0 takes contours as they "
        "are.",
        json_schema_extra={"unit": "px", "only_if": {"split": "contour"}},
    )
    contour_ends: int = Field(
        0,
        ge=0,
        le=60,
        title="Join contour ends",
        description="Only for split by contour: where a border is seen at both rims of two "
        "overlapping cells and not in between, join the ends that point at each other, up to this "
        "distance. 0 joins none.",
        json_schema_extra={"unit": "px", "only_if": {"split": "contour"}},
    )
    min_seed_area: int = Field(
        16,
        ge=0,
        le=100_000,
        title="Smallest seed",
        description="Only for split by contour: a cell's core with fewer pixels does not "
        "start a cell of its own beside larger ones.",
        json_schema_extra={"unit": "px", "only_if": {"split": "contour"}},
    )
    split_strength: float = Field(
        0.85,
        ge=0.0,
        le=1.0,
        title="Split strength",
        description="Only for split by distance: cells are cut apart where the waist is narrower "
        "than this share of the smaller cell's width. 0 never cuts, 1 cuts at the slightest waist.",
        json_schema_extra={"unit": "ratio", "only_if": {"split": "distance"}},
    )


@STEPS.register("split")
class Split(Step):
    """Turns the mask into numbered objects that cover it completely."""

    Params = SplitParams
    stage: ClassVar[Stage] = "split"
    source: ClassVar[Source] = "maps"

    def key(self, params: SplitParams) -> tuple[object, ...]:
        """Leave out the settings of the ways that are not chosen."""
        if params.split == "contour":
            gap, ends, seed = params.contour_gap, params.contour_ends, params.min_seed_area
            return params.split, level(params.contour_threshold), gap, ends, seed
        return (params.split, params.split_strength if params.split == "distance" else None)

    def reach(self, params: SplitParams) -> int:
        """Thicker and longer contours reach beyond the cells that they belong to."""
        if params.split != "contour":
            return 0
        return params.contour_gap + (1 + LONGEST) * params.contour_ends

    def run(self, state: State, params: SplitParams) -> State:
        """Return the state with labels.

        Raises
        ------
        SettingsError
            If the split is by contour and the model made no contour map.
        """
        if params.split == "none":
            return add_components(start_labels(state), state.mask)
        if params.split == "distance":
            return split_by_distance(state, params.split_strength)
        if "contour" not in state.maps:
            raise SettingsError(
                "This model predicts no contours to split cells along. "
                "Set 'Split touching cells' to 'distance' or 'none'."
            )
        threshold = level(params.contour_threshold)
        return split_by_contour(
            state, threshold, params.min_seed_area, params.contour_gap, params.contour_ends
        )
