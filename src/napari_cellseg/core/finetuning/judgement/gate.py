"""Whether a fine-tuned model is better than its parent: on new data, and on what that knew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.files import write_text
from napari_cellseg.core.finetuning.judgement.chance import Level, Tallied, difference
from napari_cellseg.core.finetuning.judgement.counts import METRICS

FEWEST_OBJECTS = 6
"""With fewer, even a gain on each of them is chance too often: in 1 of 32 cases with five."""

_HELD_OUT = 0.25  # of the objects of a single image, see `split.OF_STRIP`
_MANY = 10  # times as many objects: more is no advice
_SURE = 1.2  # times: as good as enough
_CHANCE = 0.025  # one-sided, as the lower bound of a 95 % interval


class Gain(Params):
    """One score under both models, and the 95 % interval of their difference."""

    parent: float
    child: float
    difference: float
    low: float
    high: float


class Comparison(Params):
    """A parent and its child on the same labelled images.

    Attributes
    ----------
    images, objects
        How many there are; only objects that are known to be right count.
    level, units
        What the interval was drawn from, and how many there are; see `chance.difference`.
    metrics
        ``ap50``, ``map``, ``pq``, ``aji`` and ``dice``.
    quality
        Mean of AP at IoU 0.5 and PQ, which decides, as in a fit.
    chance
        How often mere luck would give such a gain in `quality`.
    """

    images: int
    objects: int
    level: Level
    units: int
    metrics: dict[str, Gain]
    quality: Gain
    chance: float


class Verdict(Params):
    """Whether the child takes its parent's place, and why, in words for the user."""

    accepted: bool
    reason: str


class GateReport(Params):
    """What the gate measured and decided, as kept beside a fine-tuned model.

    Attributes
    ----------
    new
        Both models on corrections that neither was trained on.
    replay
        Both on data of the parent that the child was not trained on, None where it brings none.
    margin
        Loss of AP on replay that was tolerated.
    """

    schema_version: Literal[1] = 1
    new: Comparison
    replay: Comparison | None
    margin: float
    verdict: Verdict

    @classmethod
    def of(cls, new: Comparison, replay: Comparison | None, margin: float) -> Self:
        """Judge two comparisons, see `judge`."""
        return cls(new=new, replay=replay, margin=margin, verdict=judge(new, replay, margin))

    def save(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a report.

        Raises
        ------
        DataError
            If it cannot be read or is none.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(
                f"The comparison '{path}' cannot be read: compare the models again."
            ) from error


def comparison(tallied: Sequence[Tallied], seed: int = 0) -> Comparison:
    """Score both models on images whose objects were counted.

    Parameters
    ----------
    tallied
        One an image, at least one.
    seed
        Of the random draws behind intervals.
    """
    found = difference(tallied, seed)
    columns = np.stack([found.parent, found.child, found.low, found.high], axis=1).tolist()
    gains = [
        Gain(parent=parent, child=child, difference=child - parent, low=low, high=high)
        for parent, child, low, high in columns
    ]
    return Comparison(
        images=len(tallied),
        objects=sum(one.objects for one in tallied),
        level=found.level,
        units=found.units,
        metrics=dict(zip(METRICS, gains[:-1], strict=True)),
        quality=gains[-1],
        chance=found.chance,
    )


def judge(new: Comparison, replay: Comparison | None, margin: float) -> Verdict:
    """Decide whether the child takes its parent's place.

    It has to be better on the new data beyond chance: the mean of AP at IoU 0.5 and PQ, the one
    score that decides so that there is one test and not five, must gain, its 95 % interval must lie
    above 0 and mere luck must be less likely than 1 in 40. And on replay AP at IoU 0.5 must not
    fall by more than `margin`, nor surely fall, the whole interval below 0, where a loss of more
    than `margin` lies within it. An interval that merely reaches beyond the margin forbids nothing,
    for with a few patches it would forbid every child; how far it reaches is told.

    Parameters
    ----------
    new, replay
        Both models on held-out corrections, and on data of the parent.
    margin
        Loss of AP that is tolerated on replay.
    """
    if margin < 0:
        raise SettingsError(f"The tolerated loss is 0 or more, not {margin}.")
    gain = new.quality
    if new.objects < FEWEST_OBJECTS:
        return _refused(
            f"There {_are(new.objects)} to judge by, too few to tell a gain from chance: at least "
            f"{FEWEST_OBJECTS} are needed that were held out, about a quarter of all. So correct "
            f"more, some {_more(new.objects)} objects, or another image; or use it anyway."
        )
    if gain.difference <= 0:
        return _refused(
            f"The new model is not better on the corrections that were held out ({_told_of(new)}): "
            "correct more or train longer, or use it anyway."
        )
    if gain.low <= 0 or new.chance > _CHANCE:
        return _refused(
            f"The new model seems better ({_told_of(new)}), but that may be chance: "
            f"{_missing(new)} So correct more, or use it anyway."
        )
    if replay is not None and (forgotten := _forgotten(replay.metrics["ap50"], margin)):
        return _refused(
            f"The new model is better on your data ({_told_of(new)}) but forgets what its parent "
            f"knew: {_kept(replay)}, {forgotten}. Train with a larger share of replay, or use it "
            "anyway."
        )
    known = f"{_kept(replay)}." if replay else "its parent brings no data to measure that."
    return Verdict(
        accepted=True,
        reason=f"The new model is better: {_told_of(new)}. What its parent knew: {known}",
    )


def _refused(reason: str) -> Verdict:
    return Verdict(accepted=False, reason=reason)


def _are(objects: int) -> str:
    if not objects:
        return "is no object"
    return "is only 1 object" if objects == 1 else f"are only {objects} objects"


def _more(objects: int) -> int:
    """Return how many more objects to correct until enough of them are held out."""
    return math.ceil((FEWEST_OBJECTS - objects) / _HELD_OUT)


def _missing(new: Comparison) -> str:
    """Say how many objects would show such a gain: four times as many halve the interval."""
    gain, wide = new.quality.difference, new.quality.difference - new.quality.low
    times = max(wide / gain, 1.0) ** 2
    if times > _MANY:
        return f"it would take more than {_MANY} times as many objects to tell it from none."
    if times < _SURE:
        return "a few more objects, or images, would tell."
    return f"to be sure of such a gain takes about {times:.1f} times as many objects."


def _forgotten(ap: Gain, margin: float) -> str:
    """Say what was lost beyond the margin, nothing where it was kept."""
    if ap.difference < -margin:
        return f"more than {margin:g} lower"
    if ap.high < 0 and ap.low < -margin:
        return f"surely lower, and maybe by more than {margin:g}"
    return ""


def _told_of(new: Comparison) -> str:
    ap, pq = new.metrics["ap50"], new.metrics["pq"]
    images = "1 image" if new.images == 1 else f"{new.images} images"
    return (
        f"AP {ap.parent:.2f} → {ap.child:.2f}, PQ {pq.parent:.2f} → {pq.child:.2f}, on "
        f"{new.objects} objects of {images}; mean gain {new.quality.difference:+z.2f}, 95 % "
        f"interval {new.quality.low:+z.2f} to {new.quality.high:+z.2f}"
    )


def _kept(replay: Comparison) -> str:
    ap = replay.metrics["ap50"]
    return (
        f"AP {ap.parent:.3f} → {ap.child:.3f} on {replay.objects} objects of its own data, 95 % "
        f"interval {ap.low:+z.3f} to {ap.high:+z.3f}"
    )
