"""All choices of the Segment tab, as one frozen value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.recipe import Recipe

Device = Literal["auto", "cuda", "mps", "cpu"]
Scope = Literal["all", "slice", "view", "region"]


class SegmentSettings(Params):
    """What the user chose; the image is chosen apart from it."""

    recipe: Recipe = Recipe()
    device: Device = Field("auto", title="Device", description="What computes the network.")
    scope: Scope = Field("all", title="Scope", description="How much of the image to segment.")
