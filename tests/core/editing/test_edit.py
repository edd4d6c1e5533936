"""What a correction changes, as boxes that do not overlap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.editing import edit as module
from napari_cellseg.core.editing.edit import (
    Edit,
    apply,
    changes,
    check_new_id,
    common,
    cover,
    inside,
    inverse,
    joined,
    padded,
    painted,
)
from napari_cellseg.core.errors import EditError

quick = settings(deadline=None, max_examples=40)
planes = hnp.arrays(np.int32, (9, 11), elements=st.integers(0, 4))
sizes = st.integers(1, 12)
corners = st.tuples(st.integers(0, 80), st.integers(0, 80), sizes, sizes)
boxes = corners.map(lambda c: (slice(c[0], c[0] + c[2]), slice(c[1], c[1] + c[3])))


@quick
@given(planes, planes)
def test_an_edit_holds_the_smallest_box_of_what_changed(before, after):
    edit = Edit.of(before, (slice(0, 9), slice(0, 11)), after)
    rows, columns = np.nonzero(before != after)
    if not rows.size:
        assert edit is None
        return
    assert edit.box == (
        slice(rows.min(), rows.max() + 1),
        slice(columns.min(), columns.max() + 1),
    )
    changed = before != after
    assert set(edit.touched(before)) == (set(before[changed]) | set(after[changed])) - {0}
    out = before.copy()
    apply(out, [edit])
    np.testing.assert_array_equal(out, after)


def test_an_edit_inside_a_box_is_placed_in_the_plane():
    plane = np.zeros((10, 10), np.int32)
    after = np.zeros((4, 4), np.int32)
    after[2, 1] = 7
    (edit,) = changes(plane, (slice(5, 9), slice(3, 7)), after)
    assert edit.box == (slice(7, 8), slice(4, 5))
    assert edit.labels.tolist() == [[7]]
    assert edit.labels.dtype == np.int32
    assert not changes(plane, (slice(5, 9), slice(3, 7)), np.zeros((4, 4)))


def test_an_edit_keeps_nothing_of_the_arrays_it_was_made_of():
    plane = np.zeros((4, 4), np.int32)
    after = np.ones((4, 4), np.int32)
    edit = Edit.of(plane, (slice(0, 4), slice(0, 4)), after)
    after[:] = 5
    assert (edit.labels == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        edit.labels[0, 0] = 3


@quick
@given(planes, st.lists(boxes, min_size=1, max_size=4))
def test_the_inverse_restores_every_pixel(plane, some):
    parts = [
        (common(box, (slice(0, 9), slice(0, 11))), None)
        for box in some
        if common(box, (slice(0, 9), slice(0, 11))) is not None
    ]
    parts = [(box, np.ones(plane[box].shape, bool)) for box, _ in parts]
    edits = painted(plane, parts, 9)
    back = inverse(plane, edits)
    out = plane.copy()
    apply(out, edits)
    apply(out, back)
    np.testing.assert_array_equal(out, plane)


@quick
@given(st.lists(boxes, max_size=12), st.sampled_from([0, 64]))
def test_a_cover_holds_every_pixel_once_and_little_else(some, small):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SMALL", small)
        found = cover(some)
    times, wanted = np.zeros((100, 100), int), np.zeros((100, 100), int)
    for box in some:
        wanted[box] += 1
    for region, places in found:
        times[region] += 1
        meeting = {i for i, box in enumerate(some) if common(box, region)}
        assert set(places.tolist()) == meeting
        area = times[region].size
        assert area <= max(small, 2 * wanted[region].sum())
    assert times.max(initial=0) <= 1
    assert (times[wanted > 0] == 1).all()


@quick
@given(planes, st.lists(boxes, max_size=5), st.integers(0, 9))
def test_painting_gives_exactly_the_masked_pixels(plane, some, to):
    generator = np.random.default_rng(0)
    wide = np.zeros((100, 100), np.int32)
    wide[:9, :11] = plane
    parts, expected = [], wide.copy()
    for box in some:
        mask = generator.random(wide[box].shape) < 0.5
        parts.append((box, mask))
        expected[box][mask] = to
    before = wide.copy()
    edits = painted(wide, parts, to)
    np.testing.assert_array_equal(wide, before)
    apply(wide, edits)
    np.testing.assert_array_equal(wide, expected)


def test_far_changes_take_no_memory_in_between():
    plane = np.zeros((2000, 2000), np.int32)
    spot = np.ones((10, 10), bool)
    far = [(slice(0, 10), slice(0, 10)), (slice(1990, 2000), slice(1990, 2000))]
    edits = painted(plane, [(box, spot) for box in far], 3)
    assert sorted(e.box[0].start for e in edits) == [0, 1990]
    assert sum(e.labels.size for e in edits) == 200


def test_boxes_are_joined_shared_padded_and_moved():
    first, second = (slice(2, 5), slice(3, 9)), (slice(4, 8), slice(0, 4))
    assert joined(first, second) == (slice(2, 8), slice(0, 9))
    assert common(first, second) == (slice(4, 5), slice(3, 4))
    assert common(first, (slice(5, 8), slice(3, 9))) is None
    assert common(first, (slice(2, 5), slice(9, 11))) is None
    assert padded(first, 3, (7, 20)) == (slice(0, 7), slice(0, 12))
    assert inside((slice(4, 5), slice(3, 4)), first) == (slice(2, 3), slice(0, 1))


@pytest.mark.parametrize("bad", [0, -1, 2**31, 5])
def test_ids_out_of_range_or_taken_are_refused(bad):
    with pytest.raises(EditError, match=f"{bad}"):
        check_new_id(bad, {5})
    assert check_new_id(2**31 - 1, {5}) == 2**31 - 1
