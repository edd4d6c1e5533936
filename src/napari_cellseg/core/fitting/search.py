"""Looks for the settings of the post-processing under which it agrees best with what is known."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.fitting.moves import Change, Moves, matters
from napari_cellseg.core.fitting.regions import Region
from napari_cellseg.core.fitting.tally import FitScore, FloatArray, score_of, standard_error
from napari_cellseg.core.progress import Progress

COARSE_ROUNDS, FINE_ROUNDS = 2, 3


@dataclass(frozen=True)
class Caution:
    """What settings have to gain before they are preferred to those that a fit began with.

    Attributes
    ----------
    errors
        Standard errors of the gain.
    objects
        Share of the score that so many objects make.
    distance
        For each setting that is changed, once and again by the share of its range.
    """

    errors: float = 1.5
    objects: float = 0.5
    distance: float = 0.001


@dataclass(frozen=True, eq=False)
class Candidate:
    """Settings and how they did.

    Attributes
    ----------
    params
        The settings.
    counts
        See `tally`, objects of all regions.
    score
        PQ and AP.
    value
        Gain in the mean score over the start, less what caution takes off; 0 for the start.
    """

    params: Params
    counts: FloatArray
    score: FitScore
    value: float


@dataclass(eq=False)
class Search:
    """A search by one setting at a time: first over its whole range, then near the best.

    Parameters
    ----------
    regions
        What is known.
    moves
        What to try.
    start
        Settings to begin with, kept unless others are better by more than chance.
    caution
        What counts as better.
    """

    regions: Sequence[Region]
    moves: Moves
    start: Params
    caution: Caution = field(default_factory=Caution)

    def __post_init__(self) -> None:
        counts = self._count(self.start)
        self.first = Candidate(self.start, counts, score_of(counts), 0.0)
        self.best = self.first
        self._seen = {_key(self.start)}

    @property
    def evaluations(self) -> int:
        """How many settings were tried."""
        return len(self._seen)

    def run(self) -> Generator[Progress, None, Candidate]:
        """Search, and return the best; a step of progress follows every evaluation."""
        groups = self.moves.coarse()
        gains = yield from self._round(groups, self.start)
        # What helps most by itself goes first: a makeshift for it would keep its side effects.
        order = sorted(groups, key=gains.__getitem__, reverse=True)
        groups = {name: groups[name] for name in order}
        for number in range(COARSE_ROUNDS + FINE_ROUNDS):
            before = self.best
            coarse = number < COARSE_ROUNDS
            yield from self._round(groups if coarse else self.moves.fine(before.params))
            if self.best is before and not coarse:
                break
        return self.best

    def _round(
        self, groups: Mapping[str, Sequence[Change]], origin: Params | None = None
    ) -> Generator[Progress, None, dict[str, float]]:
        """Try changes of `origin`, else of the best so far; return the best value of each group."""
        gains = dict.fromkeys(groups, -math.inf)
        left = sum(map(len, groups.values()))
        for name, changes in groups.items():
            for change in changes:
                left -= 1
                params = self._changed(origin or self.best.params, change)
                if params is None:
                    continue
                gains[name] = max(gains[name], self._evaluate(params))
                metrics = {"before": self.first.score.mean, "best": self.best.score.mean}
                done = self.evaluations
                yield Progress("Fitting", done, done + left, metrics=metrics)
        return gains

    def _changed(self, origin: Params, change: Change) -> Params | None:
        """Return settings with a change, None if that is not allowed or not new."""
        try:
            params = origin.replace(**change)
        except SettingsError:  # a step beyond the range of the setting
            return None
        if _key(params) in self._seen:
            return None
        self._seen.add(_key(params))
        return params

    def _evaluate(self, params: Params) -> float:
        counts = self._count(params)
        score = score_of(counts)
        value = self._value(params, counts, score)
        if value > self.best.value:
            self.best = Candidate(params, counts, score, value)
        return value

    def _value(self, params: Params, counts: FloatArray, score: FitScore) -> float:
        margin = self.caution.errors * standard_error(self.first.counts, counts)
        margin += self.caution.objects / len(counts)
        margin += self.caution.distance * self.moves.distance(params, self.start)
        return score.mean - self.first.score.mean - margin

    def _count(self, params: Params) -> FloatArray:
        return np.concatenate([region.tally(params) for region in self.regions])


def _key(params: Params) -> tuple[object, ...]:
    """Return what the objects depend on: equal keys give equal objects."""
    return tuple(
        getattr(params, name) for name in type(params).model_fields if matters(params, name)
    )
