"""What a batch does beside finding the objects."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.measure.settings import MeasureSettings


class BatchSettings(Params):
    """Settings of a batch."""

    measure: bool = Field(
        False,
        title="Measure",
        description="Measure every object; one table holds those of all images.",
    )
    measurements: MeasureSettings = MeasureSettings()
    formats: tuple[str, ...] = Field(
        (),
        title="Other formats",
        description="Formats in which the objects are written too, beside the label images.",
    )
    again: bool = Field(
        False,
        title="Do everything again",
        description="Also images that are finished already under the same recipe.",
    )
