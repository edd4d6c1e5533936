"""Which other settings of the post-processing a fit tries next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess.registry import Source, fields_of

Change = Mapping[str, Any]

LADDERS: dict[str, tuple[float, ...]] = {
    "foreground_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "score_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "nms_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "mask_threshold": (0.3, 0.4, 0.5, 0.6, 0.7),
    "opening": (0, 1, 2, 3, 4),
    "closing": (0, 1, 2, 3),
    "contour_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75),
    "contour_gap": (0, 1, 2, 3, 4, 6),
    "contour_ends": (0, 12, 24, 40),
    "split_strength": (0.6, 0.7, 0.8, 0.9, 0.95),
    "growth": (-3, -2, -1, 0, 1, 2, 3),
}
"""Values of each setting for the first look, in the order in which the steps run."""

FINE: dict[str, tuple[float, ...]] = {
    "foreground_threshold": (0.05, 0.025),
    "score_threshold": (0.05,),
    "nms_threshold": (0.05,),
    "mask_threshold": (0.05,),
    "opening": (1,),
    "closing": (1,),
    "contour_threshold": (0.05, 0.025),
    "contour_gap": (1,),
    "contour_ends": (6,),
    "split_strength": (0.05,),
    "growth": (1,),
}
"""Steps to either side of the best value for the second look."""

SHARES = (0.0, 0.1, 0.2, 0.35, 0.5)
"""Smallest areas to try, of a seed and of a cell, as shares of a typical small cell's area."""

SMALL_QUANTILE = 0.05

_SPAN = {name: max(values) - min(values) for name, values in LADDERS.items()}


class Moves:
    """Settings near others that may suit the true objects better.

    Parameters
    ----------
    source
        Maps, or objects found one by one.
    contours
        Whether there is a contour map.
    areas
        Areas of the true objects in pixels.
    """

    def __init__(self, source: Source, contours: bool, areas: npt.NDArray[np.int64]) -> None:
        small = float(np.quantile(areas, SMALL_QUANTILE))
        sizes = tuple(round(share * small) for share in SHARES)
        self._ladders = {**LADDERS, "min_seed_area": sizes, "min_area": sizes}
        self._spans = {**_SPAN, "min_seed_area": small, "min_area": small}
        known = fields_of(source)
        self._fields = [name for name in known if name in self._ladders]
        self._ways = ("contour", "distance", "none")[not contours :] if "split" in known else ()

    def ways(self, start: Params) -> list[Change]:
        """Return what each way of splitting changes, that of the start first."""
        ways: list[Change] = [{"split": way} for way in self._ways]
        now = getattr(start, "split", None)
        return sorted(ways, key=lambda way: way["split"] != now) or [{}]

    def coarse(self) -> dict[str, list[Change]]:
        """Return for each setting the changes that are worth a first look."""
        return {name: [{name: one} for one in self._ladders[name]] for name in self._fields}

    def fine(self, params: Params) -> dict[str, list[Change]]:
        """Return the same close to `params`; some may leave the range of a setting."""
        groups: dict[str, list[Change]] = {}
        for name in self._fields:
            value = getattr(params, name)
            steps = FINE.get(name, (max(1, round(0.25 * value)),))
            values = [value + sign * step for step in steps for sign in (-1, 1)]
            groups[name] = [{name: type(value)(round(one, 4))} for one in values]
        return groups

    def distance(self, params: Params, other: Params) -> float:
        """Return how far apart settings are: of each that differs, 1 and its share of the range."""
        total = 0.0
        for name in type(params).model_fields:
            a, b = getattr(params, name), getattr(other, name)
            if a == b or not matters(params, name):
                continue
            total += 1.0
            if name in self._spans:
                total += abs(float(a) - float(b)) / max(self._spans[name], 1.0)
        return total


def matters(params: Params, name: str) -> bool:
    """Say whether a setting has a say: one of the split by contour has none in another split."""
    extra = type(params).model_fields[name].json_schema_extra
    needs = extra.get("only_if") if isinstance(extra, dict) else None
    if not isinstance(needs, dict):
        return True
    return all(getattr(params, key) == value for key, value in needs.items())
