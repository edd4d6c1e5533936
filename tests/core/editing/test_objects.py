"""Where objects lie, and that this stays true edit by edit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.editing.edit import Edit, inverse
from napari_cellseg.core.editing.objects import ObjectIndex, runs
from napari_cellseg.core.errors import EditError

LARGEST = 2**31 - 1
some_ids = st.sampled_from([0, 0, 0, 1, 2, 3, 700, LARGEST - 1, LARGEST])
planes = hnp.arrays(np.int32, (8, 10), elements=some_ids)
quick = settings(deadline=None, max_examples=60)


def _assert_true(index, plane):
    ids = np.unique(plane[plane > 0])
    np.testing.assert_array_equal(index.ids, ids)
    for i in ids.tolist():
        y, x = np.nonzero(plane == i)
        assert index.box(i) == (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))


@quick
@given(planes)
def test_boxes_of_all_objects_are_found_whatever_their_ids(plane):
    _assert_true(ObjectIndex(plane), plane)


@quick
@given(planes, planes, st.integers(0, 7), st.integers(0, 9), st.integers(1, 8), st.integers(1, 10))
def test_the_index_follows_an_edit(plane, other, top, left, height, width):
    index, box = ObjectIndex(plane), (slice(top, min(top + height, 8)), slice(left, left + width))
    box = (box[0], slice(left, min(left + width, 10)))
    before = plane[box].copy()
    plane[box] = other[box]
    touched = np.union1d(before, plane[box])
    index.update(plane, box, touched)
    _assert_true(index, plane)


def test_the_index_follows_many_objects_in_one_edit():
    plane = np.zeros((12, 30), np.int32)
    plane[1:3, ::2] = np.arange(1, 16)
    index = ObjectIndex(plane)
    plane[2:9, 3:25] = 0
    plane[4:6, 4:24] = np.arange(50, 70)
    index.update(plane, (slice(2, 9), slice(3, 25)), [*range(1, 16), *range(50, 70)])
    _assert_true(index, plane)


@quick
@given(planes, planes, st.integers(1, 7), st.integers(1, 9))
def test_edits_that_share_objects_are_applied_and_taken_back(plane, other, row, column):
    corners = [
        (r, c)
        for r in (slice(0, row), slice(row, 8))
        for c in (slice(0, column), slice(column, 10))
    ]
    edits = [e for box in corners if (e := Edit.of(plane, box, other[box]))]
    back = inverse(plane, edits)
    index, now = ObjectIndex(plane), plane.copy()
    index.apply(now, edits)
    np.testing.assert_array_equal(now, other)
    _assert_true(index, now)
    index.apply(now, back)
    np.testing.assert_array_equal(now, plane)
    _assert_true(index, now)


def test_an_update_looks_at_the_touched_boxes_only():
    class Watched(np.ndarray):
        seen = 0

        def __getitem__(self, key):
            part = super().__getitem__(key)
            Watched.seen += np.size(part)
            return part

    plane = np.zeros((3000, 3000), np.int32)
    plane[10:20, 10:20] = 1
    plane[2000:2900, 100:2900] = 2
    index = ObjectIndex(plane)
    plane[15:25, 12:18] = 1
    index.update(plane.view(Watched), (slice(15, 25), slice(12, 18)), [1])
    assert index.box(1) == (slice(10, 25), slice(10, 20))
    assert 0 < Watched.seen < 1000


def test_what_is_not_there_is_said():
    index = ObjectIndex(np.zeros((4, 5), np.int32))
    assert len(index) == 0
    assert index.ids.tolist() == []
    assert 3 not in index
    assert "3" not in index
    with pytest.raises(KeyError):
        index.box(3)
    with pytest.raises(EditError, match="no object 3"):
        index.require(3)
    assert ObjectIndex(np.zeros((0, 5), np.int32)).ids.size == 0


def test_masks_and_neighbours_of_a_box():
    plane = np.zeros((10, 10), np.int32)
    plane[2:4, 2:6] = 5
    plane[3, 3] = 8
    plane[8, 8] = 5
    index = ObjectIndex(plane)
    box, mask = index.mask(plane, 5)
    assert box == (slice(2, 9), slice(2, 9))
    assert mask.sum() == 8
    assert index.within((slice(0, 3), slice(0, 3))).tolist() == [5]
    assert index.within((slice(3, 4), slice(3, 4))).tolist() == [5, 8]
    assert index.within((slice(0, 2), slice(0, 10))).tolist() == []
    assert index.within((slice(0, 10), slice(9, 10))).tolist() == []
    assert len(index) == 2


def test_negative_labels_are_no_objects():
    plane = np.full((4, 4), -3, np.int32)
    plane[1, 1] = 2
    assert ObjectIndex(plane).ids.tolist() == [2]


def test_runs_end_with_their_rows():
    labels = np.array([[0, 4, 4], [4, 0, 7]], np.int32)
    starts, stops, ids = runs(labels)
    assert starts.tolist() == [1, 3, 5]
    assert stops.tolist() == [3, 4, 6]
    assert ids.tolist() == [4, 4, 7]
