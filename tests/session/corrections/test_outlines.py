"""Outlines lie inside their objects, and a part drawn anew is as it was drawn with the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_cellseg.session.corrections import outlines
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.outlines import DASHED, SOLID
from napari_cellseg.session.corrections.states import ObjectState, States

KINDS = {2: SOLID, 3: DASHED, 2**31 - 1: SOLID}
planes = arrays(
    np.int32,
    array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([0, 1, 2, 3, 2**31 - 1]),
)


def slowly(plane, kinds):
    """Draw pixel by pixel."""
    framed = np.pad(plane, 1, constant_values=-1)
    picture = np.zeros(plane.shape, np.uint8)
    for y, x in np.ndindex(plane.shape):
        around = [framed[y, x + 1], framed[y + 2, x + 1], framed[y + 1, x], framed[y + 1, x + 2]]
        kind = kinds.get(int(plane[y, x]), 0)
        if any(near != plane[y, x] for near in around):
            picture[y, x] = 0 if kind == DASHED and (2 * y + 3 * x) % 24 >= 12 else kind
    return picture


@settings(max_examples=60)
@given(planes, st.data())
def test_outlines_of_any_part(plane, data):
    whole = outlines.draw(plane, KINDS)
    np.testing.assert_array_equal(whole, slowly(plane, KINDS))
    box = tuple(
        slice(a, data.draw(st.integers(a + 1, n)))
        for n in plane.shape
        for a in [data.draw(st.integers(0, n - 1))]
    )
    np.testing.assert_array_equal(outlines.draw(plane, KINDS, box), whole[box])


def test_many_edges_are_looked_up_as_few_are():
    plane = (np.arange(80)[:, None] // 2 * 7 + np.arange(80) // 2 * 13).astype(np.int32) % 50
    kinds = {i: SOLID if i % 3 else DASHED for i in range(1, 50, 2)}
    np.testing.assert_array_equal(outlines.draw(plane, kinds), slowly(plane, kinds))
    assert not outlines.draw(plane, {}).any()


def test_a_dashed_circle_has_gaps_all_around():
    y, x = np.mgrid[-20:21, -20:21]
    plane = (np.hypot(y, x) < 18).astype(np.int32)
    solid, dashed = outlines.draw(plane, {1: SOLID}), outlines.draw(plane, {1: DASHED})
    assert (dashed[solid == 0] == 0).all()
    share = [
        (dashed[q] > 0).sum() / (solid[q] > 0).sum() for q in ((y < 0), (y > 0), (x < 0), (x > 0))
    ]
    assert min(share) > 0.3
    assert max(share) < 0.7


def test_only_locked_objects_are_outlined():
    states = States(
        {
            1: ObjectState("edited", True),
            2: ObjectState("accepted", True),
            3: ObjectState("accepted", False),
            4: ObjectState("", True),
            5: ObjectState("skipped"),
        }
    )
    assert outlines.kinds_of(states) == {1: DASHED, 2: SOLID, 4: SOLID}
    change = states.change({1: ObjectState("accepted", True), 2: ObjectState(), 3: ObjectState()})
    assert outlines.changed_kinds(change) == {1: SOLID, 2: 0}


def test_only_the_pixels_of_these_objects_count():
    pixels = Delta.of(np.arange(6), [0, 1, 2, 3, 0, 2], [1, 0, 3, 2, 4, 0])
    kept = outlines.of_objects(pixels, np.array([1, 4]))
    assert kept.positions.tolist() == [0, 1, 4]
    assert kept.after.tolist() == [1, 0, 4]
    assert not outlines.of_objects(pixels, np.empty(0, np.int64))


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 5)])
def test_smallest_planes(shape):
    assert outlines.draw(np.full(shape, 2, np.int32), KINDS).tolist() == np.ones(shape).tolist()
