"""Maps of one picture to objects, again and again while settings change: reruns only what must."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.postprocess._kernels import choose, load_compiled
from napari_cellseg.core.postprocess._objects import renumber
from napari_cellseg.core.postprocess.instances import Instances, InstanceSource
from napari_cellseg.core.postprocess.registry import STAGES, Source, Stage, Step, steps_in_order
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.postprocess.state import Crop, Labels, State

Maps = Mapping[str, npt.NDArray[np.uint8]]
Region = tuple[slice, slice]

_MARGIN = 48  # pixels around a region; more than the radius of most cells


def warm_up() -> bool:
    """Get the compiled loops ready, in a worker: seconds the first time, then well under one.

    Returns False where numba is absent; then the plain loops give the same labels, slower.
    """
    return load_compiled() is not None


@dataclass(frozen=True, eq=False)
class PostResult:
    """Objects of a picture, or of a region of it.

    Attributes
    ----------
    labels
        int32 (Y, X), 0 is background; a fresh array that nobody else writes to.
    count
        How many objects `labels` shows.
    removed
        What each rule took away, by parameter name; with a region, what it took away there.
    stages_run
        The stages that had to run; the others were kept from the last run.
    region
        Where `labels` lies in the picture, as (rows, columns).
    """

    labels: Labels
    count: int
    removed: Mapping[str, Removed]
    stages_run: tuple[Stage, ...]
    region: Region


class PostProcessor:
    """Turns the maps of one picture, or the candidates found in it, into objects.

    Parameters
    ----------
    maps
        Probability maps by name, uint8 (Y, X), 255 meaning 1: ``foreground``, and ``contour`` for
        the split by contour; or `Instances` of a detection network. They are only read.
    compiled
        True or False insists on the compiled or the plain loops; None takes the compiled ones
        once `warm_up` has been called, or where the picture is large. Labels are the same.

    Attributes
    ----------
    shape
        (Y, X) of the picture.

    Raises
    ------
    ValueError
        If a map is not uint8, not 2-D, or not of the size of the others.
    """

    def __init__(self, maps: Maps | Instances, *, compiled: bool | None = None) -> None:
        self._instances = InstanceSource(maps) if isinstance(maps, Instances) else None
        self._maps = {} if isinstance(maps, Instances) else maps
        self._source: Source = "maps" if self._instances is None else "instances"
        self.shape = maps.shape if isinstance(maps, Instances) else _checked_shape(maps)
        self._compiled = compiled
        self._whole = _Chain()
        self._view = _Chain()

    def run(self, params: Any, region: Region | None = None) -> PostResult:
        """Return the objects under these settings.

        Parameters
        ----------
        params
            `PostParams`.
        region
            (rows, columns) to work out only a visible part, together with a margin. Its objects
            are those of the whole picture as long as they and their neighbours lie within the
            margin; their numbers are its own. Parts and whole can run in two threads.

        Raises
        ------
        SettingsError
            If the settings need a map that the model does not predict.
        """
        steps = [(step(), step.stage) for _, step in steps_in_order(self._source)]
        if region is None:
            return self._whole.run(self._start(Crop.whole(self.shape)), params, steps)
        margin = _MARGIN + sum(step.reach(params) for step, _ in steps)
        crop = Crop.around(region, margin, self.shape)
        result = self._view.run(self._start(crop), params, steps)
        return _only(result, crop, region, self.shape)

    def _start(self, crop: Crop) -> State:
        height, width = crop.size
        maps = {name: image[crop.slices] for name, image in self._maps.items()}
        return State(crop, choose(height * width, self._compiled), maps, self._instances)


def _checked_shape(maps: Maps) -> tuple[int, int]:
    if "foreground" not in maps:
        raise ValueError("maps need a 'foreground'")
    if len({image.shape for image in maps.values()}) > 1:
        raise ValueError("maps differ in size")
    if any(image.dtype != np.uint8 or image.ndim != 2 for image in maps.values()):
        raise ValueError("maps must be uint8 of shape (Y, X)")
    height, width = maps["foreground"].shape
    return height, width


class _Chain:
    """The states after each stage of the last run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crop: Crop | None = None
        self._kept: dict[Stage, tuple[object, State]] = {}

    def run(self, state: State, params: Any, steps: list[tuple[Step, Stage]]) -> PostResult:
        with self._lock:
            if state.crop != self._crop:
                self._crop, self._kept = state.crop, {}
            stages_run: list[Stage] = []
            for stage in STAGES:
                mine = [step for step, its_stage in steps if its_stage == stage]
                key = tuple(step.key(params) for step in mine)
                kept = self._kept.get(stage)
                if kept is not None and kept[0] == key and not stages_run:
                    state = kept[1]
                    continue
                self._forget_from(stage)
                for step in mine:
                    state = step.run(state, params)
                self._kept[stage] = (key, state)
                stages_run.append(stage)
            labels, removed = renumber(state, state.dropped)
        count = len(state.order) - sum(len(numbers) for numbers in state.dropped.values())
        region = state.crop.slices
        return PostResult(labels, count, {**state.removed, **removed}, tuple(stages_run), region)

    def _forget_from(self, stage: Stage) -> None:
        """Free the outdated states before new ones are made."""
        for later in STAGES[STAGES.index(stage) :]:
            self._kept.pop(later, None)


def _only(result: PostResult, crop: Crop, region: Region, shape: tuple[int, int]) -> PostResult:
    """Cut the margin off."""
    rows, columns = (
        slice(*side.indices(size)[:2]) for side, size in zip(region, shape, strict=True)
    )
    top, left = crop.rows[0], crop.columns[0]
    labels = result.labels[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ].copy()
    seen = np.zeros(result.count + 1, bool)
    seen[labels] = True
    removed = {rule: gone.within((rows, columns)) for rule, gone in result.removed.items()}
    return replace(
        result, labels=labels, count=int(seen[1:].sum()), removed=removed, region=(rows, columns)
    )
