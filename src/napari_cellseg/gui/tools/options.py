"""The few numbers that correction tools follow."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core.components import Params


class ToolOptions(Params):
    """Settings of the correction tools; shown for the tools that follow them."""

    pieces: int = Field(
        2, ge=2, le=50, title="Pieces", description="Into how many objects a click splits one."
    )
    step: int = Field(
        1,
        ge=1,
        le=50,
        title="By",
        description="How far a click erodes or grows an object.",
        json_schema_extra={"unit": "px"},
    )
    radius: float = Field(
        2.0,
        ge=0.5,
        le=20,
        title="Radius",
        description="How coarse the bumps are that smoothing takes away.",
        json_schema_extra={"unit": "px"},
    )
    bridge: int = Field(
        3,
        ge=0,
        le=50,
        title="Close gaps up to",
        description="Background between merged objects that becomes theirs.",
        json_schema_extra={"unit": "px"},
    )
    over: bool = Field(
        False, title="Over neighbours", description="Let a drawn object cover other ones."
    )
