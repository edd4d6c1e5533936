"""Planes of a prediction to objects, with numbers that are unique in the whole stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.postprocess.postprocessor import Maps, PostProcessor
from napari_cellseg.core.postprocess.removed import Removed


class HasPlanes(Protocol):
    """What is needed of a prediction."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (..., Y, X)."""

    def plane(self, index: tuple[int, ...]) -> Maps | Instances:
        """Return what `PostProcessor` takes of one plane."""


@dataclass(frozen=True, eq=False)
class StackResult:
    """Objects of all planes.

    Attributes
    ----------
    labels
        int32 (..., Y, X), numbered on from plane to plane.
    count
        How many objects there are.
    removed
        What each rule took away, by plane index and parameter name.
    """

    labels: npt.NDArray[np.int32]
    count: int
    removed: Mapping[tuple[int, ...], Mapping[str, Removed]]

    def removed_counts(self) -> dict[str, int]:
        """Return how many objects each rule removed in the whole stack."""
        counts: dict[str, int] = {}
        for rules in self.removed.values():
            for rule, gone in rules.items():
                counts[rule] = counts.get(rule, 0) + gone.count
        return counts


def postprocess_stack(prediction: HasPlanes, params: Any) -> StackResult:
    """Run the post-processing on every plane.

    Raises
    ------
    SettingsError
        If the settings need a map that the model does not predict.
    """
    shape = prediction.shape
    if len(shape) == 2:
        only = PostProcessor(prediction.plane(())).run(params)
        return StackResult(only.labels, only.count, {(): only.removed})
    labels = np.zeros(shape, np.int32)
    removed, count = {}, 0
    for index in np.ndindex(shape[:-2]):
        result = PostProcessor(prediction.plane(index)).run(params)
        np.add(result.labels, count, out=labels[index], where=result.labels > 0)
        removed[index] = result.removed
        count += result.count
    return StackResult(labels, count, removed)
