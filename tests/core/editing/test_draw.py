"""New objects by outline and brush, and what they leave alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.editing.draw import draw_polygon, draw_stroke, extend
from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError

SQUARE = [[3.5, 3.5], [3.5, 12.5], [12.5, 12.5], [12.5, 3.5]]


def _after(tool, plane, *args, **kwargs):
    before, out = plane.copy(), plane.copy()
    apply(out, tool(plane, ObjectIndex(plane), *args, **kwargs))
    np.testing.assert_array_equal(plane, before)
    return out


def _empty():
    return np.zeros((20, 24), np.int32)


def test_an_outline_becomes_an_object():
    out = _after(draw_polygon, _empty(), SQUARE, 2**31 - 1)
    expected = _empty()
    expected[4:13, 4:13] = 2**31 - 1
    np.testing.assert_array_equal(out, expected)


def test_neighbours_keep_every_pixel_unless_asked():
    plane = _empty()
    plane[10:16, 2:20] = 5
    out = _after(draw_polygon, plane, SQUARE, 6)
    np.testing.assert_array_equal(out == 5, plane == 5)
    assert (out == 6).sum() == 6 * 9
    over = _after(draw_polygon, plane, SQUARE, 6, over=True)
    assert (over == 6).sum() == 81
    assert (over == 5).sum() == 6 * 18 - 3 * 9


def test_what_a_neighbour_cuts_off_is_left_out():
    plane = _empty()
    plane[9:11, 2:20] = 5
    out = _after(draw_polygon, plane, SQUARE, 6)
    assert np.unique(np.nonzero(out == 6)[0]).tolist() == [4, 5, 6, 7, 8]


def test_an_outline_that_crosses_itself_keeps_both_loops():
    eight = [[2.5, 2.5], [12.5, 12.5], [2.5, 12.5], [12.5, 2.5]]
    out = _after(draw_polygon, _empty(), eight, 1)
    assert out[7, 4] == out[7, 10] == 1
    assert out[3, 7] == out[11, 7] == 0


def test_drawing_reaches_to_the_edge_of_the_image():
    out = _after(draw_polygon, _empty(), [[-9, -9], [-9, 50], [4.5, 50], [4.5, -9]], 1)
    assert (out[:5] == 1).all()
    assert not out[5:].any()


@pytest.mark.parametrize("over", [False, True])
def test_a_drawing_without_a_free_pixel_is_refused(over):
    plane = _empty()
    plane[:] = 3
    if over:
        assert (_after(draw_polygon, plane, SQUARE, 4, over=True) == 4).sum() == 81
        return
    with pytest.raises(EditError, match="other objects"):
        _after(draw_polygon, plane, SQUARE, 4)
    with pytest.raises(EditError, match="other objects"):
        _after(draw_stroke, plane, [[4, 4], [4, 9]], 2, 4)


def test_drawings_that_are_nothing_are_refused():
    plane = _empty()
    plane[0, 0] = 7
    for vertices, new_id, words in [
        ([[3.1, 3.1], [3.1, 3.4], [3.4, 3.4]], 1, "smaller than a pixel"),
        (SQUARE[:2], 1, "at least 3"),
        (np.array(SQUARE) + 40, 1, "beside the image"),
        (np.array(SQUARE) * np.nan, 1, "no positions"),
        (SQUARE, 7, "object 7 already"),
        (SQUARE, 0, "number 0"),
        (SQUARE, 2**31, "number 2147483648"),
    ]:
        with pytest.raises(EditError, match=words):
            _after(draw_polygon, plane, vertices, new_id)
    for stroke, radius, words in [
        ([[3, 3]], -1, "radius"),
        ([[3, 3]], np.inf, "radius"),
        (np.zeros((0, 2)), 1, "at least 1"),
        ([[90, 3]], 5, "beside the image"),
    ]:
        with pytest.raises(EditError, match=words):
            _after(draw_stroke, plane, stroke, radius, 1)


def test_a_brush_paints_what_is_within_its_radius_of_the_line():
    out = _after(draw_stroke, _empty(), [[10, 6], [10, 16]], 3, 1)
    y, x = np.mgrid[:20, :24]
    expected = np.hypot(y - 10, x - np.clip(x, 6, 16)) <= 3
    np.testing.assert_array_equal(out > 0, expected)


@pytest.mark.parametrize("radius", [0, 1, 2.5])
def test_one_click_of_the_brush_is_a_disk_also_at_the_corner(radius):
    y, x = np.mgrid[:20, :24]
    for centre in [(0, 0), (19, 23), (9, 9)]:
        out = _after(draw_stroke, _empty(), [centre], radius, 1)
        expected = np.hypot(y - centre[0], x - centre[1]) <= radius
        np.testing.assert_array_equal(out > 0, expected)


def test_a_brush_beside_the_image_paints_its_edge():
    out = _after(draw_stroke, _empty(), [[-2, 5], [-2, 15]], 3, 1)
    assert (out[0, 5:16] == 1).all()
    assert not out[2:].any()


def test_extending_takes_background_only_unless_asked():
    plane = _empty()
    plane[2:10, 2:8] = 1
    plane[2:10, 12:18] = 2
    stroke = [[5, 6], [5, 14]]
    out = _after(extend, plane, 1, stroke, 2)
    np.testing.assert_array_equal(out == 2, plane == 2)
    assert (out[3:8, 8:12] == 1).all()
    over = _after(extend, plane, 1, stroke, 2, over=True)
    assert over[5, 14] == 1
    assert extend(plane, ObjectIndex(plane), 1, [[5, 4]], 1) == []
    with pytest.raises(EditError, match="no object 3"):
        _after(extend, plane, 3, stroke, 2)


points = st.tuples(st.floats(-3, 12), st.floats(-3, 12))


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(np.int32, (10, 10), elements=st.sampled_from([0, 0, 0, 1, 2])),
    st.lists(points, min_size=3, max_size=6),
    st.booleans(),
)
def test_a_drawing_changes_background_only(plane, vertices, polygon):
    tool, args = (draw_polygon, (9,)) if polygon else (draw_stroke, (1.5, 9))
    try:
        out = _after(tool, plane, vertices, *args)
    except EditError:
        return
    np.testing.assert_array_equal(out[plane > 0], plane[plane > 0])
    assert (out == 9).any()
