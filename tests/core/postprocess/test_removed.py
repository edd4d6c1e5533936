"""What a rule removed is told for a region exactly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core.postprocess.removed import Removed

ALL = (0, 12)


@pytest.mark.parametrize(
    ("rows", "columns", "pixels"),
    [
        ((3, 4), (4, 5), [40, 41]),  # whole, though only its first pixel is inside
        ((0, 3), ALL, []),
        ((0, 7), ALL, [40, 41]),
        ((4, 10), ALL, [92]),
        ((7, 8), (8, 9), [92]),
        ((8, 10), ALL, []),
        ((0, 10), (0, 4), []),
        ((0, 10), (5, 8), [40, 41]),
        ((0, 10), (6, 8), []),
        ((0, 10), (6, 9), [92]),
        ((0, 10), ALL, [40, 41, 92]),
    ],
)
def test_within_takes_the_objects_that_have_a_pixel_inside(rows, columns, pixels) -> None:
    both = Removed("min_area", (10, 12), np.array([40, 41, 92]), np.array([0, 2, 3]))
    inside = both.within((slice(*rows), slice(*columns)))
    assert inside.pixels.tolist() == pixels
    assert inside.areas.tolist() == [n for n, first in ((2, 40), (1, 92)) if first in pixels]
    assert (inside.rule, inside.shape) == (both.rule, both.shape)


def test_at_tells_which_object_had_a_pixel() -> None:
    both = Removed("min_area", (10, 12), np.array([40, 41, 92]), np.array([0, 2, 3]))
    assert [both.at(*place) for place in ((3, 4), (3, 5), (7, 8), (7, 9))] == [0, 0, 1, None]
