"""Learning rates: what each step's rate is, from how far the run is and how well it goes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_cellseg.core.training.config import TrainConfig


def learning_rate(
    config: TrainConfig, fraction: float, step: int, scores: Sequence[float] = ()
) -> float:
    """Return the rate of the next step: linear warm-up, then the chosen schedule.

    Parameters
    ----------
    config
        Settings of the run.
    fraction
        Share of the run that is done.
    step
        Steps that are done.
    scores
        Scores of all validations so far, the higher the better; only ``"plateau"`` needs them.
    """
    done = min(fraction, 1.0)
    if done < config.warm_up:
        return config.learning_rate * max(done / config.warm_up, 0.01)
    if config.schedule == "cosine":
        share = _cosine((done - config.warm_up) / max(1 - config.warm_up, 1e-9), config.lowest_rate)
    elif config.schedule == "plateau":
        falls = plateaus(scores, config.plateau_patience)
        share = max(config.plateau_factor**falls, config.lowest_rate)
    elif config.schedule == "triangular2":
        share = _triangle(step, config.cycle_steps, config.lowest_rate)
    else:
        share = 1.0
    return config.learning_rate * share


def _cosine(done: float, lowest: float) -> float:
    return lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * done))


def _triangle(step: int, half: int, lowest: float) -> float:
    """Go up and down in cycles, each half as high as the one before (Smith 2017)."""
    cycle, place = divmod(step, 2 * half)
    height = 1 - abs(place / half - 1)
    return lowest + (1 - lowest) * float(height * 0.5**cycle)


def plateaus(scores: Sequence[float], patience: int) -> int:
    """Count how often `patience` validations in a row were no better than the best before."""
    best, waited, count = -math.inf, 0, 0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == patience:
            count, waited = count + 1, 0
    return count
