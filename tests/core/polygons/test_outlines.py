"""Outlines lose nothing of a shape, are valid polygons, and agree with other programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.polygons.fill import fill, fill_through_centres
from napari_cellseg.core.polygons.pieces import keyhole, outlines, pixel_outlines
from napari_cellseg.core.polygons.rings import Rings
from napari_cellseg.core.polygons.runs import Runs, paint, runs_of
from napari_cellseg.core.polygons.trace import trace

planes = hnp.arrays(
    np.int32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([0, 0, 1, 2, 70000]),
)
few = settings(max_examples=60, deadline=None)


def rings_of(outline):
    return [ring for piece in outline.pieces for ring in piece]


@few
@given(planes, st.booleans())
def test_outlines_give_the_labels_again(plane, diagonal):
    rings = trace(plane, diagonal=diagonal)
    painted = paint(fill(rings, plane.shape), plane.shape)
    np.testing.assert_array_equal(painted.labels, plane)
    assert painted.overlap == 0
    assert (np.diff(rings.owner) >= 0).all()


@few
@given(planes)
def test_signed_areas_add_up_to_the_pixels(plane):
    rings = trace(plane)
    for label in np.unique(plane[plane > 0]):
        assert rings.area[rings.owner == label].sum() == (plane == label).sum()


@few
@given(planes)
def test_no_ring_passes_a_corner_twice_or_goes_on_straight(plane):
    for ring in trace(plane).parts():
        assert len({tuple(corner) for corner in ring.tolist()}) == len(ring)
        steps = np.diff(np.vstack([ring, ring[:1]]), axis=0)
        assert ((steps != 0).sum(axis=1) == 1).all()
        assert ((steps != 0) != (np.roll(steps, 1, axis=0) != 0)).all()


@few
@given(planes)
def test_polygons_are_valid_and_of_the_right_area(plane):
    geometry = pytest.importorskip("shapely.geometry")
    for outline in outlines(plane):
        pieces = geometry.MultiPolygon([(piece[0], piece[1:]) for piece in outline.pieces])
        assert pieces.is_valid
        assert pieces.area == (plane == outline.label).sum()


def test_hole_goes_to_its_own_piece():
    plane = np.zeros((5, 12), np.int32)
    plane[:, :5] = 4
    plane[2, 2] = 0
    plane[1:4, 7:] = 4
    plane[2, 9] = 0
    (outline,) = outlines(plane)
    boxes = [[(*ring.min(0), *ring.max(0)) for ring in piece] for piece in outline.pieces]
    assert sorted(boxes) == [
        [(0, 0, 5, 5), (2, 2, 3, 3)],
        [(7, 1, 12, 4), (9, 2, 10, 3)],
    ]


@few
@given(planes)
def test_a_ring_with_holes_joined_to_it_is_filled_the_same(plane):
    joined = Rings.of((o.label, keyhole(piece)) for o in outlines(plane) for piece in o.pieces)
    np.testing.assert_array_equal(paint(fill(joined, plane.shape), plane.shape).labels, plane)


@few
@given(planes)
def test_pixel_outlines_are_those_of_opencv(plane):
    cv2 = pytest.importorskip("cv2")
    found = pixel_outlines(plane)
    assert found.owner.tolist() == np.unique(plane[plane > 0]).tolist()
    for label, ring in zip(found.owner, found.parts(), strict=True):
        mask = (plane == label).astype(np.uint8)
        theirs = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        sets = [{tuple(p) for p in one.reshape(-1, 2).tolist()} for one in theirs]
        assert {tuple(p) for p in ring.tolist()} in sets
        assert len(ring) == max(len(one) for one in theirs)


@few
@given(planes)
def test_pixel_outlines_fill_an_object_without_holes(plane):
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = ndimage.binary_fill_holes(plane == 1)
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    if count == 0:
        return
    solid = pieces.astype(np.int32)
    rings = pixel_outlines(solid)
    painted = paint(fill_through_centres(rings, solid.shape), solid.shape)
    np.testing.assert_array_equal(painted.labels, solid)


@few
@given(planes)
def test_runs_give_the_labels_again(plane):
    np.testing.assert_array_equal(paint(runs_of(plane), plane.shape).labels, plane)
    turned = paint(runs_of(plane.T), plane.T.shape)
    np.testing.assert_array_equal(turned.labels.T, plane)


def test_polygon_between_pixels_takes_the_centres_within():
    rings = Rings.of([(5, [(0.4, 0.4), (2.6, 0.4), (2.6, 1.4), (0.4, 1.4)])])
    labels = paint(fill(rings, (3, 4)), (3, 4)).labels
    np.testing.assert_array_equal(labels, [[5, 5, 5, 0], [0] * 4, [0] * 4])


def test_what_lies_outside_is_cut_off():
    rings = Rings.of([(1, [(-5, -5), (2, -5), (2, 9), (-5, 9)])])
    labels = paint(fill(rings, (2, 3)), (2, 3)).labels
    np.testing.assert_array_equal(labels, [[1, 1, 0], [1, 1, 0]])


def test_of_overlapping_objects_the_smaller_is_seen():
    runs = Runs(np.array([1, 2]), np.array([2, 0]), np.array([4, 8]))
    painted = paint(runs, (2, 4))
    np.testing.assert_array_equal(painted.labels, [[2, 2, 1, 1], [2] * 4])
    assert painted.overlap == 2


def test_no_object_at_all():
    nothing = np.zeros((3, 4), np.int32)
    assert list(outlines(nothing)) == []
    for rings in (trace(nothing), pixel_outlines(nothing)):
        assert len(rings.owner) == 0
        assert not paint(fill_through_centres(rings, (3, 4)), (3, 4)).labels.any()
