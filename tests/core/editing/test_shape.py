"""One object gets another shape; its neighbours never do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import label

from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.editing.shape import erode, fill_holes, grow, largest_pieces, smooth
from napari_cellseg.core.errors import EditError

planes = hnp.arrays(np.int32, (10, 11), elements=st.sampled_from([0, 0, 1, 1, 2]))
quick = settings(deadline=None, max_examples=60)


def _after(tool, plane, *args, **kwargs):
    before, out = plane.copy(), plane.copy()
    apply(out, tool(plane, ObjectIndex(plane), *args, **kwargs))
    np.testing.assert_array_equal(plane, before)
    return out


def _disk(size=41, radius=12.0):
    y, x = np.mgrid[:size, :size] - size // 2
    return (np.hypot(y, x) <= radius).astype(np.int32)


@quick
@given(planes, st.sampled_from([fill_holes, smooth, grow, erode]))
def test_other_objects_keep_every_pixel_and_the_object_stays(plane, tool):
    if not (plane == 1).any():
        return
    try:
        out = _after(tool, plane, 1)
    except EditError:
        assert tool is erode
        return
    np.testing.assert_array_equal(out == 2, plane == 2)
    assert (out == 1).any()


@pytest.mark.parametrize("tool", [fill_holes, smooth, grow, erode])
def test_a_missing_object_is_refused(tool):
    with pytest.raises(EditError, match="no object 5"):
        _after(tool, _disk(), 5)


def test_holes_are_filled_but_not_the_objects_in_them_nor_bays():
    plane = np.zeros((20, 20), np.int32)
    plane[2:18, 2:18] = 1
    plane[4:9, 4:9] = 0
    plane[6, 6] = 2
    plane[10:12, 10:20] = 0  # open to the right
    plane[14, 14] = 0
    out = _after(fill_holes, plane, 1)
    assert out[6, 6] == 2
    assert (out == 1).sum() == (plane == 1).sum() + 24 + 1
    assert not out[10:12, 10:].any()
    assert fill_holes(out, ObjectIndex(out), 1) == []


def test_smoothing_takes_bumps_off_and_fills_dents_and_keeps_the_area():
    plane = _disk()
    clean = plane.copy()
    plane[20, 32:38] = 1  # a bristle
    plane[8:14, 20] = 0  # a notch
    out = _after(smooth, plane, 1, 2.0)
    assert not out[20, 35:38].any()
    assert (out[10:14, 20] == 1).all()
    assert abs(int(out.sum()) - int(plane.sum())) <= 4
    assert (out != clean).sum() < (plane != clean).sum() + 8


def test_smoothing_a_disk_does_nearly_nothing_and_keeps_its_symmetry():
    out = _after(smooth, _disk(), 1, 2.0)
    assert (out != _disk()).sum() <= 16
    for turned in (out[::-1], out[:, ::-1], out.T):
        np.testing.assert_array_equal(out, turned)


def test_an_outline_shared_with_a_neighbour_or_the_image_stays():
    plane = np.zeros((30, 40), np.int32)
    plane[:15] = 2
    plane[15:, 10:28] = 1
    assert smooth(plane, ObjectIndex(plane), 1, 3.0) == []


@pytest.mark.parametrize("radius", [1.0, 4.0, 12.0])
def test_smoothing_never_deletes_a_thin_object(radius):
    plane = np.zeros((40, 40), np.int32)
    plane[20, 5:35] = 1
    plane[25, 25] = 2
    out = _after(smooth, plane, 1, radius)
    assert (out == 1).any()
    out = _after(smooth, plane, 2, radius)
    assert (out == 2).any()


def test_pieces_that_come_off_are_dropped_but_not_those_that_were_there():
    plane = np.zeros((40, 60), np.int32)
    plane[10:30, 5:25] = 1
    plane[20, 25:40] = 1  # a thread
    plane[17:24, 40:47] = 1  # with a knot
    out = _after(smooth, plane, 1, 1.5)
    assert label(out == 1)[1] == 1
    assert (out[12:28, 7:23] == 1).all()
    plane[20, 25:40] = 0
    assert label(_after(smooth, plane, 1, 1.5) == 1)[1] == 2


def test_growing_widens_by_so_many_pixels():
    y, x = np.mgrid[:41, :41] - 20
    out = _after(grow, _disk(), 1, 5)
    assert (out[20] == 1).sum() == 25 + 10
    assert (out[np.hypot(y, x) <= 16.0] == 1).all()
    assert not out[np.hypot(y, x) > 17.0].any()


def test_growing_does_not_jump_over_a_neighbour():
    plane = np.zeros((9, 20), np.int32)
    plane[:, 2:5] = 1
    plane[:, 6] = 2
    out = _after(grow, plane, 1, 6)
    assert (out[:, 5] == 1).all()
    assert not out[:, 7:].any()


def test_eroding_narrows_but_not_at_the_edge_of_the_image():
    plane = np.zeros((20, 20), np.int32)
    plane[:10, 4:16] = 1
    out = _after(erode, plane, 1, 2)
    expected = np.zeros_like(plane)
    expected[:8, 6:14] = 1
    np.testing.assert_array_equal(out, expected)
    whole = np.ones((5, 5), np.int32)
    assert erode(whole, ObjectIndex(whole), 1, 3) == []


def test_eroding_narrows_where_a_neighbour_touches_and_leaves_background():
    plane = np.ones((8, 12), np.int32)
    plane[:, 6:] = 2
    out = _after(erode, plane, 1)
    assert not out[:, 5].any()
    assert (out[:, :5] == 1).all()


def test_eroding_all_of_an_object_is_refused():
    with pytest.raises(EditError, match="Nothing would be left of object 1"):
        _after(erode, _disk(radius=3.0), 1, 4)


@pytest.mark.parametrize("bad", [-1, np.nan, np.inf])
def test_distances_that_are_none_are_refused(bad):
    for tool in (smooth, grow, erode):
        with pytest.raises(EditError, match="pixels; choose"):
            _after(tool, _disk(), 1, bad)
    with pytest.raises(EditError, match="more than 0"):
        _after(smooth, _disk(), 1, 0)
    assert grow(_disk(), ObjectIndex(_disk()), 1, 0) == []
    assert erode(_disk(), ObjectIndex(_disk()), 1, 0) == []


def test_the_largest_pieces_of_a_mask():
    mask = np.zeros((6, 12), bool)
    mask[0, 0] = mask[1, 1] = True  # one piece, by its corner
    mask[3, 3:6] = True
    mask[5, 11] = True
    assert largest_pieces(mask, 1).sum() == 3
    assert largest_pieces(mask, 2).sum() == 5
    np.testing.assert_array_equal(largest_pieces(mask, 3), mask)
