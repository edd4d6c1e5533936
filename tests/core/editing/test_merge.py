"""Several objects become one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import label

from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.merge import merge, merge_along
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError


def _after(tool, plane, *args, **kwargs):
    before, out = plane.copy(), plane.copy()
    apply(out, tool(plane, ObjectIndex(plane), *args, **kwargs))
    np.testing.assert_array_equal(plane, before)
    return out


def _pair(gap):
    plane = np.zeros((12, 30), np.int32)
    plane[3:9, 2:8] = 4
    plane[3:9, 8 + gap : 16 + gap] = 9
    return plane


def test_the_largest_keeps_its_id():
    out = _after(merge, _pair(0), [4, 9])
    assert np.unique(out).tolist() == [0, 9]
    assert (out == 9).sum() == 6 * 14


def test_of_equal_ones_the_lowest_id_stays():
    plane = np.zeros((4, 8), np.int32)
    plane[:, :3] = 7
    plane[:, 3:6] = 2
    assert np.unique(_after(merge, plane, [7, 2])).tolist() == [0, 2]


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_a_small_gap_is_closed_within_the_width_of_the_objects(gap):
    out = _after(merge, _pair(gap), [4, 9])
    assert (out[3:9, 2 : 16 + gap] == 9).all()
    # Beside that, at most a pixel bulges out of either end of the gap.
    added = (out == 9) & (_pair(gap) == 0)
    assert added[2:10, 8 : 8 + gap].sum() == added.sum()


def test_round_objects_grow_together_where_they_are_near():
    y, x = np.mgrid[:40, :60]
    plane = np.zeros((40, 60), np.int32)
    plane[np.hypot(y - 20, x - 16) <= 12] = 1
    plane[np.hypot(y - 20, x - 42) <= 12] = 2  # 1 pixel apart
    out = _after(merge, plane, [1, 2])
    added = (out > 0) & (plane == 0)
    assert label(out)[1] == 1
    rows, columns = np.nonzero(added)
    assert 5 <= np.ptp(rows) + 1 <= 11
    assert columns.min() >= 27
    assert columns.max() <= 31


def test_a_wide_gap_stays_open():
    out = _after(merge, _pair(4), [4, 9])
    assert (out == 9).sum() == 6 * 14
    assert label(out == 9)[1] == 2


def test_the_width_of_a_gap_to_close_can_be_chosen():
    assert label(_after(merge, _pair(5), [4, 9], bridge=5) == 9)[1] == 1
    assert label(_after(merge, _pair(1), [4, 9], bridge=0) == 9)[1] == 2


def test_objects_that_touch_get_no_pixels_between_them():
    plane = np.zeros((9, 9), np.int32)
    plane[1:4, 1:4] = 1
    plane[4:8, 4:8] = 2  # by a corner
    out = _after(merge, plane, [1, 2])
    np.testing.assert_array_equal(out > 0, plane > 0)


def test_objects_that_touch_by_a_corner_keep_their_bay():
    plane = np.zeros((9, 12), np.int32)
    plane[1:8, 1:4] = 1
    plane[1:7, 6:11] = 2
    plane[7, 5] = 2
    plane[7, 4] = 0
    plane[8, 4] = 1
    out = _after(merge, plane, [1, 2])
    np.testing.assert_array_equal(out > 0, plane > 0)


@pytest.mark.parametrize("bridge", [3, 4])
def test_the_gap_counts_and_not_that_of_the_boxes(bridge):
    plane = np.zeros((30, 30), np.int32)
    plane[2:4, 2:28] = 1
    plane[4:28, 26:28] = 1
    plane[8:20, 4:22] = 2  # 4 pixels from both arms, inside the box
    out = _after(merge, plane, [1, 2], bridge=bridge)
    assert label(out)[1] == (2 if bridge == 3 else 1)
    assert (out[4:8, 4:22] > 0).all() == (bridge == 4)


@pytest.mark.parametrize(("bridge", "pieces"), [(3, 2), (4, 1)])
def test_a_gap_is_as_wide_as_its_diagonal(bridge, pieces):
    plane = np.zeros((20, 20), np.int32)
    plane[2:8, 2:8] = 1
    plane[10:18, 10:18] = 2  # 4.2 pixels from corner to corner: 3.2 lie between
    out = _after(merge, plane, [1, 2], bridge=bridge)
    assert label(out, np.ones((3, 3)))[1] == pieces


def test_a_gap_is_never_closed_over_another_object():
    plane = _pair(2)
    plane[3:6, 8] = 6
    out = _after(merge, plane, [4, 9])
    np.testing.assert_array_equal(out == 6, plane == 6)
    assert (out[7:9, 8:10] == 9).all()


def test_a_gap_near_far_parts_of_large_objects_is_closed():
    plane = np.zeros((60, 60), np.int32)
    plane[0:3, :] = 1
    plane[3:60, 0:3] = 1
    plane[5:60, 57:60] = 2
    out = _after(merge, plane, [1, 2])
    assert (out[3:5, 57:60] == 1).all()
    assert (out[6:, 3:57] == 0).all()


def test_three_in_a_row_are_merged_over_both_gaps():
    plane = np.zeros((6, 40), np.int32)
    for i, x in enumerate((2, 12, 23)):
        plane[1:5, x : x + 9] = i + 1
    assert label(_after(merge, plane, [3, 1, 2]))[1] == 1


def test_a_line_merges_what_it_crosses_and_nothing_else():
    plane = np.zeros((20, 30), np.int32)
    plane[2:8, 2:8] = 3
    plane[2:8, 8:14] = 5
    plane[2:8, 20:26] = 2
    plane[12:18, 2:8] = 1
    out = _after(merge_along, plane, [[4.4, 3.2], [4.1, 24.8]])
    assert np.unique(out).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(out == 1, plane == 1)


@pytest.mark.parametrize(
    ("stroke", "words"),
    [([[4, 3], [4, 6]], "only one object"), ([[0, 0], [0, 9]], "no object"), ([], "line")],
)
def test_a_line_that_merges_nothing_is_refused(stroke, words):
    with pytest.raises(EditError, match=words):
        _after(merge_along, _pair(0), stroke)


def test_merging_one_or_missing_objects_is_refused():
    for ids in ([], [4], [4, 4]):
        with pytest.raises(EditError, match="two objects"):
            _after(merge, _pair(0), ids)
    with pytest.raises(EditError, match="no object 5"):
        _after(merge, _pair(0), [4, 5])


def test_objects_at_opposite_corners_are_merged_without_a_plane_in_between():
    plane = np.zeros((1500, 1500), np.int32)
    plane[:9, :9], plane[-9:, -9:] = 1, 2**31 - 1
    edits = merge(plane, ObjectIndex(plane), [1, 2**31 - 1])
    assert sum(e.labels.size for e in edits) == 81


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.int32, (9, 9), elements=st.integers(0, 4)), st.integers(0, 3), st.data())
def test_only_merged_objects_and_background_change(plane, bridge, data):
    ids = np.unique(plane[plane > 0]).tolist()
    if len(ids) < 2:
        return
    chosen = data.draw(st.lists(st.sampled_from(ids), min_size=2, unique=True))
    out = _after(merge, plane, chosen, bridge=bridge)
    merged = np.isin(plane, chosen)
    assert len(np.unique(out[merged])) == 1
    assert out[merged][0] in chosen
    others = ~merged & (plane > 0)
    np.testing.assert_array_equal(out[others], plane[others])
    assert np.isin(out[plane == 0], [0, out[merged][0]]).all()
    assert set(np.unique(out)) - {0} == set(ids) - set(chosen) | {out[merged][0]}
