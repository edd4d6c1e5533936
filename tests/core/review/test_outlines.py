"""What the maps say about objects, against a pixel-by-pixel model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.review.outlines import measure_outlines
from napari_cellseg.core.review.shapes import measure_shapes

shape = (6, 7)
small_labels = hnp.arrays(np.int32, shape, elements=st.integers(0, 3))
maps = hnp.arrays(np.uint8, shape, elements=st.integers(0, 255))


def by_hand(labels, foreground, contour, label):
    """Go round every side of every pixel of one object."""
    falls, lacks, sides = [], [], 0
    height, width = labels.shape
    p, c = foreground / 255, contour / 255
    for y, x in np.argwhere(labels == label):
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            ny, nx = y + dy, x + dx
            if not (0 <= ny < height and 0 <= nx < width) or labels[ny, nx] == label:
                continue
            sides += 1
            four = [
                (min(max(y + k * dy, 0), height - 1), min(max(x + k * dx, 0), width - 1))
                for k in (-1, 0, 1, 2)
            ]
            if labels[ny, nx] == 0:
                values = [p[at] for at in four]
                falls.append((values[0] + values[1] - values[2] - values[3]) / 2)
            else:
                lacks.append(1 - max(c[at] for at in four))
    edge = 1 - np.mean(falls) if falls else 0.0
    return edge, sum(lacks) / max(sides, 1)


@settings(deadline=None, max_examples=60)
@given(small_labels, maps, maps)
def test_edges_and_contacts_equal_the_walk_round_each_object(labels, foreground, contour):
    shapes = measure_shapes(labels)
    outlines = measure_outlines(shapes, foreground, contour)
    for k, label in enumerate(shapes.ids):
        edge, contact = by_hand(labels, foreground, contour, label)
        assert outlines.unsure_edge[k] == pytest.approx(edge, abs=1e-5)
        assert outlines.open_contact[k] == pytest.approx(contact, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(small_labels, maps, maps, maps, maps)
def test_means_within_and_floating_maps_say_the_same(labels, foreground, contour, again, line):
    shapes = measure_shapes(labels)
    whole = measure_outlines(shapes, foreground, contour, (again, line))
    fine = measure_outlines(
        shapes, foreground / 255, contour / 255, (again / 255, (line / 255).astype(np.float32))
    )
    for name in vars(whole):
        np.testing.assert_allclose(getattr(whole, name), getattr(fine, name), atol=1e-5)
    for k, label in enumerate(shapes.ids):
        mine = labels == label
        assert whole.unsure_inside[k] == pytest.approx(1 - foreground[mine].mean() / 255)
        assert whole.contour_inside[k] == pytest.approx(contour[mine].mean() / 255)
        changed = np.abs(foreground[mine] / 255 - again[mine] / 255).mean()
        changed += np.abs(contour[mine] / 255 - line[mine] / 255).mean()
        assert whole.changed[k] == pytest.approx(changed)


def test_without_maps_all_is_zero():
    shapes = measure_shapes(np.arange(12, dtype=np.int32).reshape(3, 4))
    for values in vars(measure_outlines(shapes)).values():
        assert values.tolist() == [0.0] * 11


def test_a_second_run_without_a_first_one_says_nothing():
    labels = np.ones((3, 3), np.int32)
    again = np.zeros((3, 3), np.uint8)
    outlines = measure_outlines(measure_shapes(labels), flipped=(again, again))
    assert outlines.changed.tolist() == [0.0]
