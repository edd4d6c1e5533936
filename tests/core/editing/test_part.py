"""An object falls into the cells that the model saw in it, and stays whole where it saw one."""

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.editing.part import part_at
from napari_cellseg.core.errors import EditError

SHAPE = (70, 110)


def disc(y, x, radius):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def merged(*places, radius=14):
    """Return the discs at (y, x) as one object, and the foreground with a dip between them."""
    plane = np.zeros(SHAPE, np.int32)
    foreground = np.zeros(SHAPE)
    for y, x in places:
        plane[disc(y, x, radius)] = 3
        foreground = np.maximum(foreground, 0.9 * gaussian_filter(disc(y, x, radius) * 1.0, 3))
    return plane, np.round(foreground * 255).astype(np.uint8)


def parted(plane, foreground, point, **maps):
    plane.flags.writeable = False
    result = plane.copy()
    ids = itertools.count(50)
    apply(result, part_at(plane, ObjectIndex(plane), foreground, point, lambda: next(ids), **maps))
    return result


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_two_and_three_cells_with_a_dip_between_them():
    places = (35, 20), (35, 48), (35, 76)
    for number in (2, 3):
        plane, foreground = merged(*places[:number])
        result = parted(plane, foreground, places[0])
        assert np.array_equal(result > 0, plane > 0), "no pixel is lost or won"
        found = np.unique(result[plane > 0])
        assert len(found) == number
        assert 3 in found, "the largest keeps its number"
        for y, x in places[:number]:
            assert iou(result == result[y, x], disc(y, x, 14)) > 0.85


def test_the_contour_alone_shows_two_cells():
    plane = np.zeros(SHAPE, np.int32)
    plane[20:50, 20:80] = 7
    sure = np.full(SHAPE, 255, np.uint8)
    with pytest.raises(EditError, match=r"one cell in object 7.*Split"):
        parted(plane.copy(), sure, (30, 30))
    contour = np.zeros(SHAPE, np.uint8)
    contour[:, 44:46] = 100
    result = parted(plane, sure, (30, 30), contour=contour)
    assert {len(np.unique(result[20:50, 20:43])), len(np.unique(result[20:50, 47:80]))} == {1}
    assert result[30, 30] != result[30, 70]
    assert result[30, 70] == 7


def test_specks_are_no_cells():
    plane, foreground = merged((35, 40), radius=20)
    foreground[20:22, 36:44] = 255  # 16 px of 1,250: less than 5 %
    with pytest.raises(EditError, match="one cell"):
        parted(plane, foreground, (35, 40))


def test_other_objects_stay():
    plane, foreground = merged((35, 20), (35, 48))
    plane[:5] = 9
    plane[30:40, 66:72] = 11
    result = parted(plane.copy(), foreground, (35, 20))
    for other in (9, 11):
        np.testing.assert_array_equal(result == other, plane == other)


@pytest.mark.parametrize("point", [(0, 0), (-3, 5), (35, 500)])
def test_a_click_beside_objects_is_refused(point):
    plane, foreground = merged((35, 20), (35, 48))
    with pytest.raises(EditError, match="no object"):
        parted(plane, foreground, point)


def test_maps_of_another_size_are_refused():
    plane, foreground = merged((35, 20), (35, 48))
    with pytest.raises(EditError, match="differ in size"):
        parted(plane, foreground[:-1], (35, 20))
