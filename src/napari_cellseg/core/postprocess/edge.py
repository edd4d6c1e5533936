"""Step: drops objects that the border of the picture cuts."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess.registry import STEPS, Stage, Step
from napari_cellseg.core.postprocess.state import State


class EdgeParams(Params):
    """Settings of objects at the border."""

    edge_objects: Literal["keep", "remove"] = Field(
        "keep",
        title="Cells at the edge",
        description="Keep or remove cells that touch the border of the picture.",
    )


@STEPS.register("edge")
class Edge(Step):
    """Drops objects with a pixel in the outermost row or column of the whole picture."""

    Params = EdgeParams
    stage: ClassVar[Stage] = "clean"
    place = 1

    def run(self, state: State, params: EdgeParams) -> State:
        """Return the state with objects at the edge marked."""
        if params.edge_objects == "keep":
            return state
        top, bottom, left, right = state.crop.cut_sides()
        return state.drop(
            "edge_objects", state.touching((not top, not bottom, not left, not right))
        )
