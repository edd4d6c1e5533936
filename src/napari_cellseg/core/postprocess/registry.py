"""The registry of post-processing steps, and what a step is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, get_args

from napari_cellseg.core.components import Params, Registry
from napari_cellseg.core.postprocess.state import State

Stage = Literal["threshold", "split", "grow", "clean"]
STAGES: tuple[Stage, ...] = get_args(Stage)

Source = Literal["maps", "instances", "any"]
"""What a step works on: probability maps, objects found one by one, or the labels of either."""


class Step(ABC):
    """One rule on the way from maps to objects.

    A subclass names its `Params` (field names are unique over all steps, because the settings
    of all steps form one flat list), its `stage`, its `place` among the steps of that stage, and
    the `source` that it needs.
    The state after each stage is kept, so a changed parameter reruns its own stage and later ones.
    """

    Params: ClassVar[type[Params]]
    stage: ClassVar[Stage]
    place: ClassVar[int] = 0
    source: ClassVar[Source] = "any"

    def key(self, params: Any) -> tuple[object, ...]:
        """Return what the result of this step depends on; equal keys need no rerun."""
        return tuple(getattr(params, name) for name in self.Params.model_fields)

    def reach(self, params: Any) -> int:
        """Return by how many pixels this step looks beyond an object's own outline."""
        return 0

    @abstractmethod
    def run(self, state: State, params: Any) -> State:
        """Return the state after this step; `state` itself is not changed."""


STEPS: Registry[type[Step]] = Registry("post-processing step", __package__)


def steps_in_order(source: Source = "any") -> list[tuple[str, type[Step]]]:
    """Return the steps for a source as (name, class) in their running order; all for ``"any"``."""
    steps = [(n, s) for n, s in STEPS.items() if source == "any" or s.source in ("any", source)]
    return sorted(steps, key=lambda item: (STAGES.index(item[1].stage), item[1].place, item[0]))


def fields_of(source: Source) -> list[str]:
    """Return the names of the parameters that matter for a source."""
    return [name for _, step in steps_in_order(source) for name in step.Params.model_fields]


def stage_of(field: str) -> Stage:
    """Return the stage that the parameter called `field` belongs to."""
    for _, step in steps_in_order():
        if field in step.Params.model_fields:
            return step.stage
    raise KeyError(field)
