"""Objects that were clicked, or caught in a lasso, go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.editing.delete import delete, objects_in_lasso
from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError


def _grid():
    """Return 4 x 5 squares of 8 pixels, ids 1 to 20 in reading order, 2 apart."""
    plane = np.zeros((42, 52), np.int32)
    for i in range(20):
        y, x = 10 * (i // 5) + 1, 10 * (i % 5) + 1
        plane[y : y + 8, x : x + 8] = i + 1
    return plane


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.int32, (9, 9), elements=st.integers(0, 5)), st.data())
def test_the_chosen_become_background_and_nothing_else_changes(plane, data):
    ids = np.unique(plane[plane > 0]).tolist()
    chosen = data.draw(st.lists(st.sampled_from(ids))) if ids else []
    out, before = plane.copy(), plane.copy()
    apply(out, delete(plane, ObjectIndex(plane), chosen))
    np.testing.assert_array_equal(plane, before)
    np.testing.assert_array_equal(out, np.where(np.isin(plane, chosen), 0, plane))


def test_deleting_nothing_changes_nothing():
    plane = _grid()
    assert delete(plane, ObjectIndex(plane), []) == []


def test_deleting_what_is_not_there_is_refused():
    plane = _grid()
    with pytest.raises(EditError, match="no object 99"):
        delete(plane, ObjectIndex(plane), [1, 99])


def test_memory_follows_the_deleted_pixels():
    plane = np.zeros((2000, 2000), np.int32)
    positions = np.random.default_rng(3).permutation(1600)[:60]
    for i, p in enumerate(positions.tolist()):
        y, x = 50 * (p // 40), 50 * (p % 40)
        plane[y : y + 20, x : x + 20] = i + 1
    edits = delete(plane, ObjectIndex(plane), range(1, 61))
    apply(plane, edits)
    assert not plane.any()
    assert sum(e.labels.size for e in edits) <= 2 * 60 * 400 + 60 * 4096 // 4


def test_a_lasso_catches_what_lies_mostly_inside():
    plane = _grid()
    # From the middle of column 1 to just before the middle of column 3.
    lasso = [[-5, 4.2], [22, 4.2], [22, 24.2], [-5, 24.2]]
    index = ObjectIndex(plane)
    assert objects_in_lasso(plane, index, lasso).tolist() == [2, 7]
    assert objects_in_lasso(plane, index, lasso, most=0.4).tolist() == [1, 2, 3, 6, 7, 8]
    assert objects_in_lasso(plane, index, lasso, most=0.99).tolist() == [2, 7]
    assert objects_in_lasso(plane, index, [[0, 0], [0, 0.5], [0.5, 0]]).size == 0


def test_exactly_half_is_not_more_than_half():
    plane = np.zeros((6, 6), np.int32)
    plane[1:5, 1:5] = 1
    lasso = [[0.5, 0.5], [0.5, 2.5], [4.5, 2.5], [4.5, 0.5]]
    index = ObjectIndex(plane)
    assert objects_in_lasso(plane, index, lasso).size == 0
    assert objects_in_lasso(plane, index, lasso, most=0.49).tolist() == [1]


def test_the_pixels_count_and_not_the_box():
    plane = np.zeros((20, 20), np.int32)
    plane[2:18, 2] = 1
    plane[17, 2:18] = 1
    lasso = [[0, 5], [0, 19], [15, 19], [15, 5]]
    assert objects_in_lasso(plane, ObjectIndex(plane), lasso, most=0).size == 0


@pytest.mark.parametrize(
    ("lasso", "most", "words"),
    [
        ([[1, 1], [5, 5]], 0.5, "at least 3"),
        ([[90, 90], [90, 95], [95, 95]], 0.5, "beside the image"),
        ([[1, 1], [1, 9], [9, 9]], 1.0, "more than 1.0"),
    ],
)
def test_what_is_no_lasso_is_refused(lasso, most, words):
    plane = _grid()
    with pytest.raises(EditError, match=words):
        objects_in_lasso(plane, ObjectIndex(plane), lasso, most)
