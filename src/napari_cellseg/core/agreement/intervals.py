"""How far scores could be off by the choice of objects or images: bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from napari_cellseg.core.agreement.tally import METRICS, scores_of
from napari_cellseg.core.overlap import FloatArray

LEVEL = 0.95
RESAMPLES = 1000
_CHUNK_NUMBERS = 2**21  # weights that are held at a time


@dataclass(frozen=True)
class Interval:
    """A score with the limits between which it lies in `LEVEL` of all resamples.

    Attributes
    ----------
    value
        The score.
    low, high
        Limits; None where there are fewer than two objects or images to choose from.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


Intervals = Mapping[str, Interval]


def over_objects(counts: FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> Intervals:
    """Return the scores of one image with intervals over its objects.

    Percentile bootstrap (Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13):
    places of the image, see `tally`, are drawn with replacement, as many as there are, and the
    scores computed from the drawn ones. It tells how much the scores would change with other
    objects of the same kind, not with other images; where no object is wrong, it has no width.

    Parameters
    ----------
    counts
        `tally` of the image, (places, COLUMNS).
    seed
        The same seed gives the same intervals.
    """
    value = scores_of(counts.sum(0))
    return _intervals(value, len(counts), lambda draw: scores_of(draw @ counts), seed, resamples)


def over_images(sums: FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> Intervals:
    """Return the means over images of their scores, with intervals over the images.

    Parameters
    ----------
    sums
        Added `tally` of each image, (images, COLUMNS).
    """
    scores = scores_of(sums)
    mean = scores.mean(0)
    return _intervals(mean, len(sums), lambda draw: draw @ scores / len(sums), seed, resamples)


def over_images_pooled(sums: FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> Intervals:
    """Return the scores of all images' objects together, with intervals over the images."""
    value = scores_of(sums.sum(0))
    return _intervals(value, len(sums), lambda draw: scores_of(draw @ sums), seed, resamples)


def _intervals(
    value: FloatArray,
    n: int,
    scored: Callable[[FloatArray], FloatArray],
    seed: int,
    resamples: int,
) -> Intervals:
    """Score weights (resamples, n), which say how often each of n was drawn."""
    if n < 2:
        return {name: Interval(float(one)) for name, one in zip(METRICS, value, strict=True)}
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_NUMBERS // n)
    drawn = []
    for start in range(0, resamples, chunk):
        draw = np.empty((min(chunk, resamples - start), n))
        for row in draw:
            row[:] = np.bincount(random.integers(0, n, n), minlength=n)
        drawn.append(scored(draw))
    outside = 50 * (1 - LEVEL)
    low, high = np.percentile(np.concatenate(drawn), (outside, 100 - outside), axis=0)
    columns = zip(METRICS, value.tolist(), low.tolist(), high.tolist(), strict=True)
    return {name: Interval(one, least, most) for name, one, least, most in columns}
