"""Errors with place and severity, the error map, stacks, and what cannot be compared."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.agreement.agreement import compare_planes
from napari_cellseg.core.agreement.object_errors import ErrorKind
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.progress import finish

MISSED, EXTRA, MERGED, SPLIT, POOR = ErrorKind

SMALL = arrays(np.int32, (6, 7), elements=st.integers(0, 5))


def compared(labels, reference, **others):
    return finish(compare_planes(labels, reference, **others))


@pytest.fixture
def field():
    """Return labels and reference (40, 40) with one error of each kind and one good object."""
    labels, reference = np.zeros((2, 40, 40), np.int32)
    reference[2:8, 2:8] = labels[2:8, 2:8] = 3
    reference[2:6, 20:30] = 40  # missed
    labels[12:14, 2:5] = 50  # extra
    reference[20:26, 2:6], reference[20:26, 6:12], labels[20:26, 2:12] = 6, 7, 8  # merged
    reference[20:26, 20:30], labels[20:26, 20:24], labels[20:26, 24:30] = 9, 10, 11  # split
    reference[32:38, 2:12], labels[33:37, 4:14] = 12, 13  # poor outline: 32 of 68 px
    return labels, reference


def test_errors_come_worst_first_with_ids_place_and_severity(field):
    found = compared(*field)
    errors = {one.kind: one for one in found.errors}
    assert found.errors.counts() == dict.fromkeys(ErrorKind, 1)
    assert [one.severity for one in found.errors] == sorted(found.errors.severity, reverse=True)
    ids = {kind: (one.reference_ids, one.label_ids) for kind, one in errors.items()}
    assert ids == {
        MISSED: ((40,), ()),
        EXTRA: ((), (50,)),
        MERGED: ((6, 7), (8,)),
        SPLIT: ((9,), (10, 11)),
        POOR: ((12,), (13,)),
    }
    assert {kind: one.pixels for kind, one in errors.items()} == {
        MISSED: 40,
        EXTRA: 6,
        MERGED: 24,
        SPLIT: 24,
        POOR: 36,
    }
    missed, poor = errors[MISSED], errors[POOR]
    assert (missed.y, missed.x, missed.box) == (3.5, 24.5, (2, 20, 6, 30))
    assert (errors[MERGED].y, errors[MERGED].x) == (22.5, 6.5)
    assert (errors[MERGED].box, errors[SPLIT].box) == ((20, 2, 26, 12), (20, 20, 26, 30))
    assert (poor.box, poor.plane) == ((32, 2, 38, 14), ())
    assert poor.iou == pytest.approx(32 / 68)
    typical = np.median([36, 40, 24, 36, 60, 60])
    assert missed.severity == pytest.approx(40 / (40 + typical))


def test_error_map_has_whole_objects_and_the_rim_of_poor_outlines(field):
    labels, reference = field
    painted = compared(*field).error_map
    assert painted.dtype == np.uint8
    expected = np.zeros_like(painted)
    expected[reference == 40] = MISSED
    expected[labels == 50] = EXTRA
    expected[labels == 8] = MERGED
    expected[reference == 9] = SPLIT
    expected[(reference == 12) ^ (labels == 13)] = POOR
    np.testing.assert_array_equal(painted, expected)


def test_one_kind_and_slices_of_the_list(field):
    errors = compared(*field).errors
    assert len(errors.of(MERGED)) == 1
    assert errors.of(MERGED)[0].kind == MERGED
    assert [one.kind for one in errors[1:3]] == [errors[1].kind, errors[2].kind]
    assert len(errors[:2].of(EXTRA)) == 0


@given(SMALL, SMALL)
@settings(max_examples=40)
def test_places_are_those_of_the_objects(labels, reference):
    found = compared(labels, reference)
    for one in found.errors:
        inside = np.isin(reference, one.reference_ids)
        if one.kind in (EXTRA, MERGED):
            inside = np.isin(labels, one.label_ids)
        y, x = np.nonzero(inside)
        assert (one.y, one.x) == pytest.approx((y.mean(), x.mean()))
        if one.kind == POOR:
            y, x = np.nonzero(inside | np.isin(labels, one.label_ids))
        assert one.box == (y.min(), x.min(), y.max() + 1, x.max() + 1)
    assert found.error_map.any() == (len(found.errors) > 0)


def test_renumbering_and_dtype_change_nothing(field):
    labels, reference = field
    first = compared(labels, reference)
    huge = np.where(labels > 0, 2**40 - labels.astype(np.int64), 0)
    other = compared(huge, reference.astype(np.uint16))
    assert other.scores == first.scores
    np.testing.assert_array_equal(other.error_map, first.error_map)


def test_stacks_are_compared_slice_by_slice_and_added_up(field):
    labels, reference = field
    empty = np.zeros_like(labels)
    stack = compared(np.stack([labels, labels, empty]), np.stack([reference, empty, empty]))
    one, extra = compared(labels, reference), compared(labels, empty)
    assert (stack.n_labels, stack.n_reference) == (2 * one.n_labels, one.n_reference)
    np.testing.assert_allclose(stack.sums, one.sums + extra.sums)
    assert stack.errors.counts()[EXTRA] == 1 + one.n_labels
    assert {error.plane for error in stack.errors} == {(0,), (1,)}
    np.testing.assert_array_equal(stack.error_map[1], np.where(labels, EXTRA, 0))
    four = compared(labels[None, None].repeat(2, 1), reference[None, None].repeat(2, 1))
    assert four.shape == (1, 2, 40, 40)
    assert four.errors[0].plane == (0, 0)
    assert four.scores == pytest.approx(one.scores)


def test_a_missing_dimension_of_length_one_is_no_difference(field):
    labels, reference = field
    assert compared(labels[None], reference).scores == compared(labels, reference).scores
    assert compared(labels, reference[None, None]).shape == (40, 40)


@pytest.mark.parametrize(("ours", "theirs", "ap"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0)])
def test_empty_images(ours, theirs, ap):
    found = compared(np.full((3, 4), ours), np.full((3, 4), theirs))
    assert found.scores["ap50"] == found.scores["pq"] == found.scores["dice"] == ap
    assert len(found.errors) == ours + theirs
    assert found.intervals["ap50"].low is None


def test_objects_of_one_pixel():
    reference = np.array([[1, 0, 2], [0, 0, 0], [3, 0, 0]], bool)
    labels = np.array([[4, 0, 0], [0, 0, 0], [0, 0, 5]], np.uint8)
    found = compared(labels, np.where(reference, np.arange(9).reshape(3, 3) + 1, 0))
    assert found.errors.counts() == {MISSED: 2, EXTRA: 1, MERGED: 0, SPLIT: 0, POOR: 0}
    assert found.scores["ap50"] == pytest.approx(1 / 4)
    assert all(one.severity == 0.5 for one in found.errors)
    assert found.errors[0].box == (0, 2, 1, 3)


@pytest.mark.parametrize(
    ("labels", "reference", "said"),
    [
        (np.zeros((4, 5), int), np.zeros((5, 4), int), r"'cells'.*\(4, 5\).*\(5, 4\)"),
        (np.zeros((2, 4, 5), int), np.zeros((4, 5), int), "choose labels and reference"),
        (np.zeros(4, int), np.zeros(4, int), "rows and columns"),
        (np.zeros((0, 4), int), np.zeros((0, 4), int), "rows and columns"),
        (np.zeros((4, 4)), np.zeros((4, 4), int), "not integers"),
        (np.full((4, 4), -1), np.zeros((4, 4), int), "negative"),
    ],
)
def test_what_cannot_be_compared_is_said_in_words(labels, reference, said):
    with pytest.raises(DataError, match=said):
        compared(labels, reference, name="cells")


@pytest.mark.slow
def test_forty_thousand_objects_take_less_than_five_seconds():
    # Cells of 20 px, each 16 px long, the labels moved by 2 px and a twentieth left out.
    places = np.arange(1, 204 * 204 + 1, dtype=np.int32).reshape(204, 204)
    cell = np.zeros((20, 20), np.int32)
    cell[2:18, 2:18] = 1
    reference = np.kron(places, cell)
    labels = np.roll(np.kron(np.where(places % 20, places, 0), cell), 2, axis=1)
    pad = (0, 4096 - reference.shape[0])
    labels, reference = np.pad(labels, (pad, pad)), np.pad(reference, (pad, pad))
    start = time.process_time()
    found = compared(labels, reference)
    assert found.intervals["ap50"].low < found.scores["ap50"] < found.intervals["ap50"].high
    assert time.process_time() - start < 5
    assert found.errors.counts()[MISSED] == 204 * 204 // 20
