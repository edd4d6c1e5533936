"""What is measured, and how far around an object is looked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_cellseg.core.components import Params

Kind = Literal["shape", "neighbours", "intensity"]
Speed = Literal["fast", "slow", "all"]


class MeasureSettings(Params):
    """Settings of a table of measurements."""

    kinds: tuple[Kind, ...] = Field(
        ("shape", "neighbours", "intensity"),
        title="Measure",
        description="Kinds of columns; intensity needs an image.",
    )
    speed: Speed = Field(
        "all",
        title="Columns",
        description=(
            "'fast' leaves out what takes long with many objects (Feret diameter, solidity, "
            "median, ring); 'slow' gives only these."
        ),
    )
    neighbour_distance: float = Field(
        2.0,
        ge=1,
        le=20,
        title="Neighbours within",
        description=(
            "Objects count as neighbours if two of their pixels are at most this far apart, centre "
            "to centre: 1 for objects that share a side, 1.5 also a corner."
        ),
        json_schema_extra={"unit": "px"},
    )
    ring_gap: float = Field(
        2.0,
        ge=0,
        le=50,
        title="Gap before the ring",
        description="Background nearer to the object than this is not taken for local background.",
        json_schema_extra={"unit": "px"},
    )
    ring_width: float = Field(
        5.0,
        ge=1,
        le=50,
        title="Width of the ring",
        description="How wide the ring of background around each object is.",
        json_schema_extra={"unit": "px"},
    )

    def wants(self, kind: Kind, speed: Literal["fast", "slow"]) -> bool:
        """Tell whether columns of that kind and speed are asked for."""
        return kind in self.kinds and self.speed in (speed, "all")
