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

HOPELESS = 0.1
"""A search that lies so far behind after the coarse look gets no close one."""


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

    Each way of splitting has a search of its own, for which settings suit depends on it: changed
    alone, a way that is better in the end looks worse.

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
        self.best = self._here = self.first  # of all, and of the search under way
        self._seen = {_key(self.start)}

    @property
    def evaluations(self) -> int:
        """How many settings were tried."""
        return len(self._seen)

    def run(self) -> Generator[Progress, None, Candidate]:
        """Search, and return the best; a step of progress follows every evaluation."""
        origins = [self.start.replace(**way) for way in self.moves.ways(self.start)]
        left = sum(map(len, self.moves.coarse().values()))
        for number, origin in enumerate(origins):
            yield from self._search(origin, left * (len(origins) - number - 1))
        return self.best

    def _search(self, origin: Params, later: int) -> Generator[Progress, None, None]:
        """Search from settings on; `later` is what other searches will try, about."""
        self._here = self.first
        if origin != self.start:
            self._seen.add(_key(origin))
            self._here = self._evaluate(origin)
            yield self._progress(later)
        groups = self.moves.coarse()
        gains = yield from self._round(groups, later, origin)
        # What helps most by itself goes first: a makeshift for it would keep its side effects.
        order = sorted(groups, key=gains.__getitem__, reverse=True)
        groups = {name: groups[name] for name in order}
        for number in range(COARSE_ROUNDS + FINE_ROUNDS):
            before, coarse = self._here, number < COARSE_ROUNDS
            if not coarse and before.value < self.best.value - HOPELESS:
                break
            tried = groups if coarse else self.moves.fine(before.params)
            yield from self._round(tried, later)
            if self._here is before and not coarse:
                break

    def _round(
        self, groups: Mapping[str, Sequence[Change]], later: int, origin: Params | None = None
    ) -> Generator[Progress, None, dict[str, float]]:
        """Try changes of `origin`, else of the best so far; return the best value of each group."""
        gains = dict.fromkeys(groups, -math.inf)
        left = sum(map(len, groups.values()))
        for name, changes in groups.items():
            for change in changes:
                left -= 1
                params = self._changed(origin or self._here.params, change)
                if params is None:
                    continue
                gains[name] = max(gains[name], self._evaluate(params).value)
                yield self._progress(left + later)
        return gains

    def _progress(self, left: int) -> Progress:
        metrics = {"before": self.first.score.mean, "best": self.best.score.mean}
        done = self.evaluations
        return Progress("Fitting", done, done + left, metrics=metrics)

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

    def _evaluate(self, params: Params) -> Candidate:
        counts = self._count(params)
        score = score_of(counts)
        found = Candidate(params, counts, score, self._value(params, counts, score))
        if found.value > self._here.value:
            self._here = found
        if found.value > self.best.value:
            self.best = found
        return found

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
