"""How far the difference between the scores of two models goes beyond chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from napari_cellseg.core.finetuning.judgement.counts import blocks, counts, scores_of
from napari_cellseg.core.fitting.regions import nearest_object
from napari_cellseg.core.fitting.reviewed import BoolArray, Int32Array
from napari_cellseg.core.fitting.tally import FloatArray

Level = Literal["images", "blocks", "objects"]

FEWEST_GROUPS = 8
"""Images, or blocks of them, are drawn as a whole where there are at least so many."""

_ROUNDS = 4000
_BATCH = 100


@dataclass(frozen=True, eq=False)
class Tallied:
    """What each true object of one image adds to the scores of two models.

    Attributes
    ----------
    parent, child
        (max(N, 1), 13, 2), see `counts`.
    block
        (max(N, 1),), see `blocks`.
    objects
        Number N of true objects.
    """

    parent: FloatArray
    child: FloatArray
    block: npt.NDArray[np.int64]
    objects: int

    @classmethod
    def of(
        cls,
        truth: Int32Array,
        known: BoolArray,
        parent: npt.NDArray[np.int32],
        child: npt.NDArray[np.int32],
    ) -> Tallied:
        """Count the objects 1..N of an image under both models, where it is known what is there."""
        nearest = nearest_object(truth)
        return cls(
            counts(truth, parent, known, nearest),
            counts(truth, child, known, nearest),
            blocks(truth),
            int(truth.max(initial=0)),
        )


@dataclass(frozen=True, eq=False)
class Difference:
    """Scores of two models, and what chance leaves open of their difference.

    Attributes
    ----------
    parent, child, low, high
        (6,) as of `scores_of`; `low` and `high` bound the 95 % interval of child minus parent.
    chance
        How often the mean of AP and PQ would gain so much, or more, if it were mere luck which of
        the two models did better on a unit.
    level, units
        What the units are, and how many of them there are.
    """

    parent: FloatArray
    child: FloatArray
    low: FloatArray
    high: FloatArray
    chance: float
    level: Level
    units: int


def difference(images: Sequence[Tallied], seed: int = 0) -> Difference:
    """Compare two models by a paired bootstrap and by a paired randomisation test.

    Units are images where there are at least `FEWEST_GROUPS`; scores are then means over images,
    as in an evaluation. With fewer images the scores are those of all objects together, and units
    are blocks of neighbouring objects or, with fewer than `FEWEST_GROUPS` of them, single objects;
    the result then speaks for more objects of such images, not for other images.

    The interval is that of percentiles of a bootstrap that draws units with both models' results.
    For few units it would be too narrow; it is widened by sqrt(n / (n - 1)) and by Student's t in
    place of the normal quantile (Hesterberg 2015, What teachers should know about the bootstrap,
    The American Statistician 69:371, "expanded percentile interval"). Still, a few units that all
    agree leave a bootstrap no spread. `chance` is exact there: the models' results are exchanged
    in half of the units, picked at random (Fisher 1935, The design of experiments, sec. 21). With
    n units it is never below 2 ** -n, however large the gain: 5 of them prove nothing.
    """
    level, parent, child = _units(images)
    results = _Means(parent, child) if level == "images" else _Pooled(parent, child)
    n = len(parent)
    rng = np.random.default_rng(seed)
    before, after = results.scores()
    low, high = -np.ones_like(before), np.ones_like(before)  # all that is possible
    if n > 1:
        share = np.full(n, 1 / n)
        draws = _drawn(lambda: results.drawn(rng.multinomial(n, share, _BATCH).astype(float)))
        tail = float(special.ndtr(-math.sqrt(n / (n - 1)) * special.stdtrit(n - 1, 0.975)))
        low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    lucky = _drawn(lambda: results.exchanged(rng.integers(0, 2, (_BATCH, n)).astype(float)))
    # What an exchange leaves as it is must not count as less because of rounding.
    reached = np.count_nonzero(lucky[:, -1] >= after[-1] - before[-1] - 1e-9)
    chance = float((1 + reached) / (1 + len(lucky)))
    return Difference(before, after, low, high, chance, level, n)


def _drawn(batch: Callable[[], FloatArray]) -> FloatArray:
    return np.concatenate([batch() for _ in range(_ROUNDS // _BATCH)])


def _units(images: Sequence[Tallied]) -> tuple[Level, FloatArray, FloatArray]:
    """Return what the units are, and the counts (U, 13, 2) of each under both models."""
    if len(images) >= FEWEST_GROUPS:
        parent, child = (
            np.stack([rows.sum(axis=0) for rows in side])
            for side in ([one.parent for one in images], [one.child for one in images])
        )
        return "images", parent, child
    parent = np.concatenate([one.parent for one in images])
    child = np.concatenate([one.child for one in images])
    places = np.stack(
        [
            np.concatenate([np.full(one.block.shape, k) for k, one in enumerate(images)]),
            np.concatenate([one.block for one in images]),
        ]
    )
    number = np.unique(places, axis=1, return_inverse=True)[1].reshape(-1)
    groups = int(number.max()) + 1
    if groups < FEWEST_GROUPS:
        return "objects", parent, child
    sums = np.zeros((2, groups, *parent.shape[1:]))
    np.add.at(sums[0], number, parent)
    np.add.at(sums[1], number, child)
    return "blocks", sums[0], sums[1]


@dataclass(frozen=True, eq=False)
class _Means:
    """Scores that are means over units; `parent` and `child` are counts (U, 13, 2)."""

    parent: FloatArray
    child: FloatArray

    def scores(self) -> tuple[FloatArray, FloatArray]:
        return scores_of(self.parent).mean(axis=0), scores_of(self.child).mean(axis=0)

    def drawn(self, weights: FloatArray) -> FloatArray:
        """Return the gains (R, 6) with units counted as often as `weights` (R, U) says."""
        gain = scores_of(self.child) - scores_of(self.parent)
        return np.asarray(weights @ gain / len(gain))

    def exchanged(self, swap: FloatArray) -> FloatArray:
        """Return the gains (R, 6) with the models exchanged in the units where `swap` is 1."""
        return self.drawn(1 - 2 * swap)


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Scores of all units together; `parent` and `child` are counts (U, 13, 2)."""

    parent: FloatArray
    child: FloatArray

    def scores(self) -> tuple[FloatArray, FloatArray]:
        return scores_of(self.parent.sum(axis=0)), scores_of(self.child.sum(axis=0))

    def drawn(self, weights: FloatArray) -> FloatArray:
        before, after = (np.tensordot(weights, one, 1) for one in (self.parent, self.child))
        return scores_of(after) - scores_of(before)

    def exchanged(self, swap: FloatArray) -> FloatArray:
        moved = np.tensordot(swap, self.child - self.parent, 1)
        after, before = self.child.sum(axis=0) - moved, self.parent.sum(axis=0) + moved
        return scores_of(after) - scores_of(before)
