"""Maps of a stack to objects, plane by plane, with numbers that are unique in the whole stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.removed import Removed


class HasMaps(Protocol):
    """What is needed of a prediction: uint8 maps (..., Y, X) by name."""

    @property
    def maps(self) -> Mapping[str, npt.NDArray[np.uint8]]:
        """Probability maps by name."""


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


def postprocess_stack(prediction: HasMaps, params: Any) -> StackResult:
    """Run the post-processing on every plane.

    Raises
    ------
    SettingsError
        If the settings need a map that the model does not predict.
    """
    shape = prediction.maps["foreground"].shape
    if len(shape) == 2:
        only = PostProcessor(prediction.maps).run(params)
        return StackResult(only.labels, only.count, {(): only.removed})
    labels = np.zeros(shape, np.int32)
    removed, count = {}, 0
    for index in np.ndindex(shape[:-2]):
        maps = {name: stack[index] for name, stack in prediction.maps.items()}
        result = PostProcessor(maps).run(params)
        np.add(result.labels, count, out=labels[index], where=result.labels > 0)
        removed[index] = result.removed
        count += result.count
    return StackResult(labels, count, removed)
