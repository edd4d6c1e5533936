"""How training patches are changed: the settings alone, which need no torch."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core.components import Params


class AugmentParams(Params):
    """How far patches are changed; 0 (or a range of 1 to 1) switches a part off."""

    scale_min: float = Field(
        0.6, gt=0.1, le=1, title="Smallest scale", description="Objects are shrunk to this factor."
    )
    scale_max: float = Field(
        1.6, ge=1, le=8, title="Largest scale", description="Objects are enlarged to this factor."
    )
    rotate: bool = Field(True, title="Rotate", description="Any angle and mirroring.")
    mirror: bool = Field(
        False, title="Mirror", description="Mirroring without rotation; 'Rotate' does both."
    )
    elastic: float = Field(
        4.0,
        ge=0,
        le=50,
        title="Elastic deformation",
        description="Largest standard deviation of a smooth random displacement.",
        json_schema_extra={"unit": "px"},
    )
    gamma: float = Field(
        0.5, ge=0, le=2, title="Gamma", description="Largest absolute logarithm of the exponent."
    )
    contrast: float = Field(
        0.3, ge=0, le=1, title="Contrast", description="Largest change of brightness and contrast."
    )
    noise: float = Field(
        0.08,
        ge=0,
        le=1,
        title="Noise",
        description="Largest standard deviation, of the full range.",
    )
    blur: float = Field(
        1.5,
        ge=0,
        le=10,
        title="Blur",
        description="Largest standard deviation of a Gaussian.",
        json_schema_extra={"unit": "px"},
    )
    invert: float = Field(
        0.2, ge=0, le=1, title="Invert", description="Share of grey patches with inverted contrast."
    )
    stain: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Stain jitter",
        description="Largest change of each stain's strength in colour patches.",
    )
    to_gray: float = Field(
        0.2, ge=0, le=1, title="To grey", description="Share of colour patches turned to grey."
    )
