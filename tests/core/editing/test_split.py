"""Objects are split along lines, between points and into parts, and never lose a pixel."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import label

from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.editing.split import split_along, split_between, split_into
from napari_cellseg.core.errors import EditError

EIGHT = np.ones((3, 3), bool)
quick = settings(deadline=None, max_examples=50)
small_labels = hnp.arrays(np.int32, (8, 10), elements=st.sampled_from([0, 0, 3, 3, 3, 8]))
coordinate = st.floats(-4, 14, allow_nan=False)
strokes = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=6)


def new_ids(start=100):
    return itertools.count(start).__next__


def after(tool, plane, *args, ids=None, **kwargs):
    plane.flags.writeable = False
    edits = tool(plane, ObjectIndex(plane), *args, ids or new_ids(), **kwargs)
    result = plane.copy()
    apply(result, edits)
    return result


def square(value=1):
    plane = np.zeros((20, 20), np.int32)
    plane[4:14, 4:14] = value
    return plane


def dumbbell():
    y, x = np.mgrid[:44, :60]
    first, second = (y - 20) ** 2 + (x - 18) ** 2 < 225, (y - 20) ** 2 + (x - 42) ** 2 < 144
    return np.where(first | second, 6, 0).astype(np.int32)


def pieces(plane, value):
    return label(plane == value, EIGHT)[1]


def crosses_at_column(plane, column, among):
    """Whether ids change exactly between `column` - 1 and `column`, or one pixel beside it."""
    for row in plane:
        turns = np.flatnonzero(np.isin(row[1:], among) & np.isin(row[:-1], among) & np.diff(row))
        if turns.size and not (turns.size == 1 and abs(turns[0] + 1 - column) <= 1):
            return False
    return True


# Along a line -------------------------------------------------------------------------------


def test_a_line_splits_where_it_is_drawn_and_leaves_no_gap():
    result = after(split_along, square(), [(0, 7.6), (19, 7.6)])
    assert (result[4:14, 4:8] == 100).all()
    assert (result[4:14, 8:14] == 1).all()
    assert ((result > 0) == (square() > 0)).all()


def test_pixels_right_under_the_line_go_to_a_part_that_they_touch():
    result = after(split_along, square(), [(0, 8.0), (19, 8.0)])
    assert (result[4:14, 4:8] == 100).all()
    assert (result[4:14, 9:14] == 1).all()
    assert np.isin(result[4:14, 8], (1, 100)).all()


def test_an_object_two_pixels_wide_can_be_cut_lengthwise():
    plane = np.zeros((6, 12), np.int32)
    plane[2:4, 1:11] = 4
    result = after(split_along, plane, [(2.5, -1), (2.5, 12)])
    assert {tuple(result[2, 1:11]), tuple(result[3, 1:11])} == {(4,) * 10, (100,) * 10}


def test_the_largest_part_keeps_the_id_and_others_are_named_in_reading_order():
    plane = np.zeros((8, 40), np.int32)
    plane[2:6, 2:38] = 9
    line = [(0, 7.5), (7, 7.5), (7, 30.5), (0, 30.5)]
    result = after(split_along, plane, line)
    assert [int(result[3, x]) for x in (3, 20, 36)] == [100, 9, 101]


@pytest.mark.parametrize("stroke", [[(2, 8.5), (7, 8.5)], [(15, 8.5), (11, 8.5)]])
def test_a_line_that_ends_inside_goes_on_to_the_edge(stroke):
    result = after(split_along, square(), stroke)
    assert set(np.unique(result)) == {0, 1, 100}
    assert crosses_at_column(result, 9, (1, 100))


def test_a_line_drawn_wholly_inside_is_prolonged_at_both_ends():
    result = after(split_along, square(), [(8, 8.5), (10, 8.5)])
    assert crosses_at_column(result, 9, (1, 100))
    assert set(np.unique(result[4:14, 4:14])) == {1, 100}


def test_it_goes_on_in_its_last_direction_not_its_first():
    plane = np.zeros((40, 40), np.int32)
    plane[5:35, 5:35] = 1
    # Down along column 12, then right along row 20.
    result = after(split_along, plane, [(0, 12.5), (20.5, 12.5), (20.5, 22)])
    assert (result[5:20, 14:35] == 100).all()
    assert (result[22:35, 5:35] == 1).all()
    assert (result[5:35, 5:12] == 1).all()


def test_the_jitter_of_the_last_pixels_does_not_turn_it():
    plane = np.zeros((60, 60), np.int32)
    plane[5:55, 5:55] = 1
    wobble = [(y, 29.5 + 0.3 * (-1) ** y) for y in range(31)]
    result = after(split_along, plane, [*wobble, (30.4, 30.0)])
    assert (result[5:55, 5:24] == result[10, 10]).all()
    assert (result[5:55, 36:55] == result[10, 50]).all()
    assert result[10, 10] != result[10, 50]


def test_every_object_that_the_line_parts_is_split():
    plane = np.zeros((12, 40), np.int32)
    for i in range(3):
        plane[2:10, 2 + 12 * i : 12 + 12 * i] = i + 1
    result = after(split_along, plane, [(5.5, 0), (5.5, 39)])
    for i in range(3):
        part = result[2:10, 2 + 12 * i : 12 + 12 * i]
        assert len(np.unique(part[:4])) == len(np.unique(part[4:])) == 1
        assert part[0, 0] != part[7, 0]
    assert len(np.unique(result)) == 7


def test_of_several_only_the_given_object_is_split():
    plane = np.zeros((12, 30), np.int32)
    plane[2:10, 2:14], plane[2:10, 14:28] = 1, 2
    result = after(split_along, plane, [(5.5, 0), (5.5, 29)], object_id=2)
    assert (result[plane == 1] == 1).all()
    assert set(np.unique(result[plane == 2])) == {2, 100}


def test_running_a_little_into_a_neighbour_leaves_the_neighbour_whole():
    plane = np.zeros((12, 34), np.int32)
    plane[2:10, 2:14], plane[2:10, 14:32] = 1, 2
    result = after(split_along, plane, [(5.5, 0), (5.5, 18)])
    assert (result[plane == 2] == 2).all()
    assert set(np.unique(result[plane == 1])) == {1, 100}
    further = after(split_along, plane, [(5.5, 0), (5.5, 27)])
    assert len(np.unique(further[plane == 2])) == 2


def test_grazing_a_neighbour_leaves_the_neighbour_whole():
    plane = np.zeros((24, 40), np.int32)
    plane[4:14, 2:38] = 1
    plane[14:24, 2:38] = 2
    # Down through 1 and out again, a bend into 2 of six pixels by one.
    line = [(0, 10), (14.6, 16), (14.6, 22), (0, 28)]
    result = after(split_along, plane, line)
    assert (result[plane == 2] == 2).all()
    assert len(np.unique(result[plane == 1])) > 1


def test_crumbs_beside_a_wobbly_line_do_not_become_objects():
    plane = np.zeros((40, 40), np.int32)
    plane[4:36, 4:36] = 1
    plane[4:36, 20] = 0
    plane[15:25, 20] = 1
    line = [(0, 17.4), (9, 19.8), (14, 20.6), (20, 18.4), (26, 20.6), (40, 19.6)]
    result = after(split_along, plane, line)
    assert set(np.unique(result)) == {0, 1, 100}


def test_a_ring_is_split_by_a_line_through_both_walls_and_not_by_one_through_one():
    y, x = np.mgrid[:30, :30] - 14.5
    ring = ((y**2 + x**2 < 144) & (y**2 + x**2 > 36)).astype(np.int32)
    with pytest.raises(EditError, match="parts no object"):
        after(split_along, ring, [(14.5, 0), (14.5, 12)])
    result = after(split_along, ring, [(14.5, 0), (14.5, 29)])
    assert pieces(result, 1) == pieces(result, 100) == 1


def test_pieces_away_from_the_line_keep_the_id():
    plane = square()
    plane[16:19, 16:19] = 1
    result = after(split_along, plane, [(0, 5.5), (15, 5.5)])
    assert (result[16:19, 16:19] == 1).all()
    assert (result[4:14, 4:6] == 100).all()


@pytest.mark.parametrize(
    ("stroke", "words"),
    [
        ([(0, 0), (2, 19)], "meets no object"),
        ([(30, 30), (50, 30)], "meets no object"),
        ([(0, 4.0), (4.2, 3.9), (0, 3.9)], "parts no object"),
        ([(8, 8), (8, 8)], "only a point"),
        ([(8, 8)], "at least 2"),
        ([(8, np.nan), (8, 9)], "no positions"),
        ([(0, 8), (1e9, 8)], "too long"),
    ],
)
def test_a_line_that_splits_nothing_says_what_to_do(stroke, words):
    with pytest.raises(EditError, match=words) as error:
        after(split_along, square(), stroke)
    assert "draw" in str(error.value) or "drag" in str(error.value)


def test_an_object_that_is_not_there_and_an_id_that_is_taken_are_refused():
    with pytest.raises(EditError, match="no object 7"):
        after(split_along, square(), [(0, 8), (19, 8)], object_id=7)
    plane = square()
    plane[0, 0] = 100
    with pytest.raises(EditError, match="100 already"):
        after(split_along, plane, [(2, 8.5), (19, 8.5)])


@quick
@given(small_labels, strokes)
def test_cutting_only_renames_pixels_of_the_objects_under_the_line(plane, stroke):
    try:
        result = after(split_along, plane, stroke)
    except EditError:
        return
    assert ((result > 0) == (plane > 0)).all()
    fresh = result[result != plane]
    assert fresh.size
    assert (fresh >= 100).all()
    for value in np.unique(result[result >= 100]):
        assert len(np.unique(plane[result == value])) == 1  # of one object, and of one piece
        assert pieces(result, value) == 1
        owner = plane[result == value][0]
        assert (result == owner).any()
        assert (result == value).sum() <= (result == owner).sum()


@quick
@given(st.floats(0.6, 8.4), st.floats(0.6, 8.4))
def test_each_pixel_goes_to_the_side_of_its_centre(top, bottom):
    """Only pixels within a third of one of the line may go to either side."""
    plane = np.zeros((14, 12), np.int32)
    plane[1:13, 1:11] = 5
    result = after(split_along, plane, [(-1, top + 1), (14, bottom + 1)])
    y, x = np.mgrid[:14, :12]
    side = x - (top + 1 + (y + 1) * (bottom - top) / 15)
    inside = plane > 0
    left, right = result[inside & (side < -0.6)], result[inside & (side > 0.6)]
    assume(left.size > 10 and right.size > 10)
    assert len(np.unique(left)) == len(np.unique(right)) == 1
    assert left[0] != right[0]


# Between points -----------------------------------------------------------------------------


def test_points_split_at_the_waist_and_not_half_way():
    plane = dumbbell()
    # Circles of radius 15 and 12 meet at x = 31.7; half way between the points is x = 25.
    result = after(split_between, plane, 6, [(20, 8), (20, 42)])
    assert crosses_at_column(result, 32, (6, 100))
    assert result[20, 18] == 6
    assert result[20, 42] == 100


def test_without_a_waist_each_point_gets_the_pixels_near_it():
    y, x = np.mgrid[:30, :50]
    plane = ((y - 15) ** 2 / 100 + (x - 25) ** 2 / 400 < 1).astype(np.int32)
    result = after(split_between, plane, 1, [(15, 14), (15, 34)])
    assert crosses_at_column(result, 24, (1, 100))


def test_a_dip_of_the_probability_counts_as_a_waist():
    plane = np.zeros((20, 40), np.int32)
    plane[4:16, 4:36] = 1
    certain = np.full((20, 40), 0.9)
    certain[:, 25] = 0.05
    for probability in (certain, (certain * 255).astype(np.uint8)):
        result = after(split_between, plane, 1, [(10, 8), (10, 31)], probability=probability)
        assert crosses_at_column(result, 25, (1, 100))


@quick
@given(small_labels, st.data())
def test_each_point_gets_its_own_part(plane, data):
    spots = np.argwhere(plane == 3)
    assume(len(spots) >= 2)
    n = data.draw(st.integers(2, min(5, len(spots))))
    chosen = data.draw(st.permutations(range(len(spots))))[:n]
    result = after(split_between, plane, 3, spots[chosen] + data.draw(st.floats(-0.4, 0.4)))
    assert ((result > 0) == (plane > 0)).all()
    assert (result[plane != 3] == plane[plane != 3]).all()
    assert len({int(result[tuple(spot)]) for spot in spots[chosen]}) == n
    assert set(np.unique(result[plane == 3])) == {3, *range(100, 99 + n)}


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(8, 8)], "two points or more"),
        ([(8, 8), (8.2, 7.9)], "same pixel"),
        ([(8, 8), (2, 2)], "outside of object 1"),
        ([(8, 8), (-50, 8)], "outside of object 1"),
        ([(8, 8), (8, np.inf)], "no positions"),
    ],
)
def test_points_that_cannot_be_parted_are_refused(points, words):
    with pytest.raises(EditError, match=words):
        after(split_between, square(), 1, points)


def test_no_id_is_used_up_by_a_split_that_fails():
    ids = new_ids()
    with pytest.raises(EditError):
        after(split_between, square(), 1, [(8, 8), (2, 2)], ids=ids)
    assert ids() == 100


# Into n parts -------------------------------------------------------------------------------


def test_two_parts_meet_at_the_waist():
    result = after(split_into, dumbbell(), 6, 2)
    assert crosses_at_column(result, 32, (6, 100))
    assert result[20, 18] == 6


def test_a_chain_of_three_is_split_into_its_three():
    y, x = np.mgrid[:30, :90]
    plane = np.zeros((30, 90), np.int32)
    for centre in (16, 44, 70):
        plane[(y - 15) ** 2 + (x - centre) ** 2 < 196] = 2
    result = after(split_into, plane, 2, 3)
    assert len({int(result[15, x]) for x in (16, 44, 70)}) == 3
    for centre in (16, 44, 70):
        near = (y - 15) ** 2 + (x - centre) ** 2 < 121
        assert len(np.unique(result[near])) == 1


def test_what_has_no_waists_is_split_into_similar_shares():
    plane = np.zeros((30, 50), np.int32)
    plane[5:25, 5:45] = 1
    result = after(split_into, plane, 1, 4)
    areas = np.bincount(result[result > 0])
    areas = areas[areas > 0]
    assert len(areas) == 4
    assert areas.min() > 0.7 * 200


def test_pieces_count_first_and_crumbs_go_with_the_nearest():
    plane = np.zeros((30, 40), np.int32)
    plane[2:12, 2:12] = plane[2:12, 25:35] = 1
    plane[14, 2] = 1
    result = after(split_into, plane, 1, 2)
    assert len({int(result[5, 5]), int(result[5, 30])}) == 2
    assert result[14, 2] == result[5, 5]
    assert pieces(result, int(result[5, 30])) == 1


def test_a_crumb_does_not_stand_in_for_a_part():
    plane = dumbbell()
    plane[42, 2] = 6
    result = after(split_into, plane, 6, 2)
    assert crosses_at_column(result, 32, (6, 100))
    assert result[42, 2] == 6


def test_an_object_of_crumbs_alone_can_be_split():
    plane = np.zeros((40, 40), np.int32)
    for y in range(0, 40, 4):
        for x in range(0, 40, 4):
            plane[y : y + 3, x : x + 3] = 1
    for n in (2, 10):
        assert len(np.unique(after(split_into, plane.copy(), 1, n))) == n + 1


@quick
@given(small_labels, st.data())
def test_an_object_can_be_split_into_any_number_up_to_its_pixels(plane, data):
    pixels = int((plane == 3).sum())
    assume(pixels >= 2)
    n = data.draw(st.integers(2, pixels))
    result = after(split_into, plane, 3, n)
    assert ((result > 0) == (plane > 0)).all()
    assert (result[plane != 3] == plane[plane != 3]).all()
    assert set(np.unique(result[plane == 3])) == {3, *range(100, 99 + n)}


def test_parts_of_a_connected_object_are_connected():
    y, x = np.mgrid[:40, :40] - 20
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    plane = ((radius > 8) & (radius < 16) & (np.abs(angle) > 0.4)).astype(np.int32)
    for n in (2, 3, 5, 9):
        result = after(split_into, plane, 1, n)
        assert all(pieces(result, value) == 1 for value in np.unique(result[result > 0]))


@pytest.mark.parametrize(("n", "words"), [(1, "2 parts or more"), (101, "only 100 pixels")])
def test_a_number_of_parts_that_makes_no_sense_is_refused(n, words):
    with pytest.raises(EditError, match=words):
        after(split_into, square(), 1, n)


def test_ids_up_to_the_largest_work():
    top = 2**31 - 1
    result = after(split_into, square(top), top, 2, ids=new_ids(top - 1))
    assert set(np.unique(result)) == {0, top - 1, top}
    with pytest.raises(EditError, match="renumber"):
        after(split_into, square(), 1, 2, ids=new_ids(top + 1))
