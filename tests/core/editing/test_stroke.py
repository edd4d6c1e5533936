"""Lines and outlines as pixels, against scikit-image and plain geometry."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from napari_cellseg.core.editing.stroke import band, enclosed, line_pixels
from napari_cellseg.core.errors import EditError

coordinate = st.floats(-4, 24, allow_subnormal=False)


def _whole(box, mask, shape):
    out = np.zeros(shape, bool)
    out[box] = mask
    return out


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3))
def test_a_triangle_is_what_scikit_image_draws(corners):
    # Irrational positions: pixel centres on the very edge may fall on either side.
    corners = np.array(corners) + np.array([np.pi / 1e3, np.e / 1e3])
    shape = (20, 21)
    try:
        found = _whole(*enclosed(corners, shape), shape)
    except EditError:
        assert not polygon2mask(shape, corners).any()
        return
    differ = found != polygon2mask(shape, corners)
    y, x = np.nonzero(differ)
    for p in np.stack([y, x], 1):
        assert _distance(p, corners) < 1e-6


def _distance(point, corners):
    best = np.inf
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = max(((b - a) ** 2).sum(), 1e-12)
        along = np.clip(((point - a) * (b - a)).sum() / length, 0, 1)
        best = min(best, np.hypot(*(point - a - along * (b - a))))
    return best


def test_outlines_side_by_side_share_no_pixel_and_leave_none_out():
    left = [[2, 2], [2, 5.5], [9, 8], [9, 2]]
    right = [[2, 5.5], [2, 12], [9, 12], [9, 8]]
    a, b = (_whole(*enclosed(p, (14, 14)), (14, 14)) for p in (left, right))
    assert not (a & b).any()
    expected = np.zeros((14, 14), bool)
    expected[2:9, 2:12] = True
    np.testing.assert_array_equal(a | b, expected)


def test_what_is_gone_around_twice_is_enclosed():
    once = [[1.5, 1.5], [1.5, 9.5], [9.5, 9.5], [9.5, 1.5]]
    box, mask = enclosed(once * 2, (12, 12))
    assert _whole(box, mask, (12, 12)).sum() == 64


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=5))
def test_a_line_has_no_gaps_and_starts_and_ends_where_it_was_drawn(vertices):
    rows, columns = line_pixels(np.array(vertices) + 10, (60, 60))
    steps = np.maximum(np.abs(np.diff(rows)), np.abs(np.diff(columns)))
    assert (steps == 1).all()
    ends = np.abs(np.stack([rows, columns], 1)[[0, -1]] - np.array(vertices)[[0, -1]] - 10)
    assert (ends <= 0.5 + 1e-9).all()


def test_what_of_a_line_lies_beside_the_plane_is_left_out():
    rows, columns = line_pixels([[2, -3], [2, 9]], (5, 4))
    assert rows.tolist() == [2] * 4
    assert columns.tolist() == [0, 1, 2, 3]
    assert line_pixels([[9, 9]], (5, 4))[0].size == 0


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-4, 18), st.integers(-4, 18)), min_size=1, max_size=3),
    st.floats(0, 5),
)
def test_a_band_is_all_within_its_radius_of_the_pixels_of_the_line(vertices, radius):
    rows, columns = line_pixels(np.array(vertices) + 30, (90, 90))
    y, x = np.mgrid[:15, :15]
    distance = np.hypot(y[..., None] + 30 - rows, x[..., None] + 30 - columns).min(axis=-1)
    assume((np.abs(distance - radius) > 1e-9).all())
    try:
        found = _whole(*band(vertices, radius, (15, 15)), (15, 15))
    except EditError:
        found = np.zeros((15, 15), bool)
    np.testing.assert_array_equal(found, distance <= radius)


@pytest.mark.parametrize("bad", [[1.0, 2.0], [[1, 2, 3]], [[np.nan, 1]], [[np.inf, 1]], []])
def test_what_is_no_line_is_refused(bad):
    with pytest.raises(EditError, match="line"):
        line_pixels(bad, (5, 5))
