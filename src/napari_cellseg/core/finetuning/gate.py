"""Whether a fine-tuned model is better than its parent: on new data, and on what that knew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.files import write_text
from napari_cellseg.core.finetuning.chance import Level, Tallied, difference
from napari_cellseg.core.finetuning.counts import METRICS

FEWEST_OBJECTS = 6
"""With fewer, even a gain on each of them is chance too often: in 1 of 32 cases with five."""

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
        Both on data of the parent, None where it brings none.
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
    fall by more than `margin`; there the loss that was measured counts, not its interval, for with
    a few patches an interval would forbid every child.

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
            f"There {_are(new.objects)} to judge by, too few to tell a gain from chance: "
            "correct more, or use it anyway."
        )
    if gain.difference <= 0:
        return _refused(
            f"The new model is not better on the corrections that were held out ({_told_of(new)}): "
            "correct more or train longer, or use it anyway."
        )
    if gain.low <= 0 or new.chance > _CHANCE:
        return _refused(
            f"The new model seems better ({_told_of(new)}), but that may be chance: correct more, "
            "or use it anyway."
        )
    if replay is not None and replay.metrics["ap50"].difference < -margin:
        return _refused(
            f"The new model is better on your data ({_told_of(new)}) but forgets what its parent "
            f"knew: {_kept(replay)}, more than {margin:g} lower. Train with a larger share of "
            "replay, or use it anyway."
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


def _told_of(new: Comparison) -> str:
    ap, pq = new.metrics["ap50"], new.metrics["pq"]
    images = "1 image" if new.images == 1 else f"{new.images} images"
    return (
        f"AP {ap.parent:.2f} → {ap.child:.2f}, PQ {pq.parent:.2f} → {pq.child:.2f}, on "
        f"{new.objects} objects of {images}; mean gain {new.quality.difference:+.2f}, 95 % "
        f"interval {new.quality.low:+.2f} to {new.quality.high:+.2f}"
    )


def _kept(replay: Comparison) -> str:
    ap = replay.metrics["ap50"]
    return f"AP {ap.parent:.3f} → {ap.child:.3f} on {replay.objects} objects of its own data"
