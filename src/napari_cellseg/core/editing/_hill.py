"""The hill of a probability map around a click, and the outlines at which it changes least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.editing._pieces import as_probability
from napari_cellseg.core.editing.edit import Box, padded
from napari_cellseg.core.editing.stroke import FloatArray
from napari_cellseg.core.errors import EditError

FLOOR = 0.05  # probability below which no outline is drawn
_GROUND = 0.025  # and below which nothing is looked at
_WINDOWS = (64, 128, 256)  # px from the click to the edge of what is looked at
_LEVELS = 64
_VALLEY = 0.4  # of the contour is taken off: touching cells part, outlines hardly move
_SMOOTH = 9  # levels that the change is averaged over
_STILL = 0.01  # change that counts as none
_RISE = 1.5  # times as much change parts one stable outline from the next
_STEP = 0.1  # of the peak: how far the level moves to see how far the outline moves with it


@dataclass(frozen=True, eq=False)
class Hill:
    """What the flood reaches that sinks from the peak of the probability at a click.

    Attributes
    ----------
    box
        The window that was looked at.
    reach
        (h, w): the level at which the flood takes in each pixel; 0 where it never comes.
    peak
        Where the flood starts; the level there is the highest.
    top
        The highest level at which it holds the click.
    leak
        The highest level at which it runs out of the window, so that its area is unknown.
    """

    box: Box
    reach: FloatArray
    peak: float
    top: float
    leak: float


@dataclass(frozen=True)
class Outline:
    """The outline of a hill at a level.

    Attributes
    ----------
    level
        Probability at the outline.
    area
        Pixels above it.
    change
        By how much of `area` the outline moves over a step up and a step down.
    """

    level: float
    area: int
    change: float


def hills_at(
    plane: npt.NDArray[Any],
    probability: npt.NDArray[Any],
    contour: npt.NDArray[Any] | None,
    click: tuple[int, int],
) -> Iterator[Hill]:
    """Yield the hill at a click on background, seen in larger and larger windows.

    Parameters
    ----------
    plane
        (Y, X) labels: there is no hill where objects are.
    probability, contour
        (Y, X) maps, 0..1 or uint8; valleys are dug along the contours.
    click
        y, x.

    Raises
    ------
    EditError
        If there is no foreground at the click.
    """
    seen: Box | None = None
    for reach in _WINDOWS:
        at = (slice(click[0], click[0] + 1), slice(click[1], click[1] + 1))
        box = padded(at, reach, plane.shape)
        if box == seen:
            return
        seen = box
        here = click[0] - box[0].start, click[1] - box[1].start
        values = as_probability(probability[box])
        if values[here] < FLOOR:
            raise EditError("The model saw nothing here; draw the cell instead.")
        if contour is not None:
            dug = np.maximum(values - _VALLEY * as_probability(contour[box]), 0)
            # Who clicks into a valley does not ask for the cells beside it.
            values = dug if dug[here] >= FLOOR else values
        values[plane[box] != 0] = 0
        yield _hill(values, box, here, plane.shape)


def _hill(values: FloatArray, box: Box, click: tuple[int, int], shape: tuple[int, ...]) -> Hill:
    from scipy.ndimage import find_objects, label
    from skimage.morphology import reconstruction

    near = label(values >= 0.9 * values[click])[0]
    around = np.where(near == near[click], values, 0)
    peak = np.unravel_index(int(np.argmax(around)), values.shape)
    ground = label(values >= _GROUND)[0]
    ground = (ground == ground[click]).astype(np.int8)
    crop = find_objects(ground)[0]
    limit = np.where(ground, values, 0)
    start = np.zeros_like(values)
    start[peak] = values[peak]
    reach = np.zeros_like(values)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    reach[crop] = reconstruction(start[crop], limit[crop], footprint=cross)
    sides = [
        reach[:1] if box[0].start > 0 else None,
        reach[-1:] if box[0].stop < shape[0] else None,
        reach[:, :1] if box[1].start > 0 else None,
        reach[:, -1:] if box[1].stop < shape[1] else None,
    ]
    leak = max((float(side.max()) for side in sides if side is not None), default=0.0)
    return Hill(box, reach, float(values[peak]), float(reach[click]), leak)


def stable_outlines(hill: Hill, areas: tuple[int, int]) -> list[Outline]:
    """Return the outlines that change less than all around them, the inner ones first.

    Parameters
    ----------
    hill
        The hill.
    areas
        Least and most pixels that count.
    """
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import find_peaks

    step = _STEP * hill.peak
    levels = np.linspace(hill.top, max(FLOOR, _GROUND + step), _LEVELS)
    levels = levels[(levels > hill.leak) & (levels <= hill.top)]
    flood = np.sort(hill.reach[hill.reach > 0])

    def area(at: FloatArray) -> npt.NDArray[np.int64]:
        return np.asarray(flood.size - np.searchsorted(flood, at), np.int64)

    size = area(levels)
    kept = (size >= areas[0]) & (size <= areas[1])
    levels, size = levels[kept], size[kept]
    change = (area(levels - step) - area(levels + step)) / size
    if not len(change):
        return []
    # A round cell takes in pixels in lumps, those of one distance to its middle.
    change = np.maximum(uniform_filter1d(change, _SMOOTH, mode="nearest"), _STILL)
    # As logarithms, since a rise by a half counts the same for large and small cells.
    calm = -np.log(change)
    beyond = [-np.inf]
    found, _ = find_peaks(np.concatenate([beyond, calm, beyond]), prominence=np.log(_RISE))
    return [Outline(float(levels[i]), int(size[i]), float(change[i])) for i in found - 1]
