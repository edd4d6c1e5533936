"""How far a measure of an object lies from that of the others."""

from __future__ import annotations

import numpy as np

from napari_cellseg.core.review.shapes import FloatArray

FEWEST = 8
"""Among fewer objects none is called unusual."""

_TO_DEVIATION = 1.4826  # median absolute deviation of a normal distribution to its standard one


def robust_z(values: FloatArray, least: float) -> FloatArray:
    """Return (value - median) / deviation, the deviation from the median absolute deviation.

    Parameters
    ----------
    values
        One an object, (N,).
    least
        The deviation is taken for at least this, so that objects that are almost all alike do not
        make the slightest difference look unusual.

    Returns
    -------
    (N,), all 0 among fewer than `FEWEST` objects.
    """
    if len(values) < FEWEST:
        return np.zeros(len(values))
    away = values - np.median(values)
    return away / max(_TO_DEVIATION * float(np.median(np.abs(away))), least)
