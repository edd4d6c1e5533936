"""A missed cell grows at a click to its most stable outline, over background only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_cellseg.core.editing.edit import apply
from napari_cellseg.core.editing.grow import grow_at
from napari_cellseg.core.editing.objects import ObjectIndex
from napari_cellseg.core.errors import EditError


def grown(plane, probability, point, level=0, new_id=50, **kwargs):
    plane.flags.writeable = False
    result = plane.copy()
    edits = grow_at(plane, ObjectIndex(plane), probability, point, new_id, level, **kwargs)
    apply(result, edits)
    return result


def empty(shape=(80, 100)):
    return np.zeros(shape, np.int32)


def disc(shape, y, x, radius):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - y - 0.3) ** 2 + (columns - x - 0.4) ** 2 < radius**2


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def cell(shape=(80, 100), y=40, x=50, radius=12, high=0.95):
    return high * gaussian_filter(disc(shape, y, x, radius).astype(float), 1.5)


@pytest.mark.parametrize("high", [0.98, 0.5, 0.15])
@pytest.mark.parametrize("click", [(40, 50), (47, 44)])
def test_it_finds_the_outline_however_sure_the_model_was(high, click):
    result = grown(empty(), cell(high=high), click)
    assert iou(result == 50, disc((80, 100), 40, 50, 12)) > 0.9


def test_kept_maps_of_bytes_do_as_well():
    kept = np.round(cell(high=0.4) * 255).astype(np.uint8)
    assert iou(grown(empty(), kept, (40, 50)) == 50, disc((80, 100), 40, 50, 12)) > 0.88


def test_a_halo_of_low_probability_is_not_taken():
    probability = np.maximum(cell(), 0.25 * gaussian_filter(disc((80, 100), 40, 50, 25) * 1.0, 4))
    assert iou(grown(empty(), probability, (40, 50)) == 50, disc((80, 100), 40, 50, 12)) > 0.85


def pair():
    """Two touching cells, 0.95 each and 0.5 between them, in a clump."""
    left, right = cell(x=38), cell(x=63)
    bridge = np.zeros((80, 100))
    bridge[34:46, 46:56] = 0.5
    return np.maximum(np.maximum(left, right), gaussian_filter(bridge, 1))


def test_a_cell_comes_before_the_clump_and_the_clump_at_the_next_level():
    first = grown(empty(), pair(), (40, 38)) == 50
    assert iou(first, disc((80, 100), 40, 38, 12)) > 0.85
    second = grown(empty(), pair(), (40, 38), level=1) == 50
    assert second[40, 63]
    assert (first & ~second).sum() == 0
    with pytest.raises(EditError, match="no further stable outline"):
        grown(empty(), pair(), (40, 38), level=2)


def test_levels_inwards_lead_to_the_core():
    probability = 0.6 * disc((80, 100), 40, 50, 20) + 0.35 * disc((80, 100), 40, 50, 8)
    probability = gaussian_filter(probability, 1)
    sizes = []
    for level in (-1, 0, 1):
        try:
            sizes.append(int((grown(empty(), probability, (40, 50), level) == 50).sum()))
        except EditError as error:
            assert "no further" in str(error)  # noqa: PT017
    assert len(sizes) == 2
    assert sizes[0] == pytest.approx(np.pi * 64, rel=0.25)
    assert sizes[1] == pytest.approx(np.pi * 400, rel=0.15)


def test_contours_keep_touching_cells_apart():
    clump = gaussian_filter(0.95 * (disc((80, 100), 40, 38, 12) | disc((80, 100), 40, 60, 12)), 1.0)
    contour = np.zeros((80, 100))
    contour[25:55, 48:51] = 0.9
    assert (grown(empty(), clump, (40, 36)) == 50)[40, 60]
    alone = grown(empty(), clump, (40, 36), contour=contour) == 50
    assert not alone[40, 60]
    assert iou(alone[:, :48], disc((80, 100), 40, 38, 12)[:, :48]) > 0.85
    kept = np.round(contour * 255).astype(np.uint8)
    assert (alone == (grown(empty(), clump, (40, 36), contour=kept) == 50)).all()


def test_other_objects_keep_every_pixel():
    plane = empty()
    plane[30:50, 56:80] = 7
    result = grown(plane, cell(), (40, 45))
    assert (result[plane == 7] == 7).all()
    assert iou(result == 50, disc((80, 100), 40, 50, 12) & (plane == 0)) > 0.85


def test_it_does_not_go_on_behind_another_object():
    probability = np.maximum(cell(x=35), cell(x=65))
    probability[35:45, 40:60] = 0.95
    plane = empty()
    plane[20:60, 47:53] = 7
    result = grown(plane, probability, (40, 35))
    assert not (result[:, 53:] == 50).any()
    assert (result[:, :47] == 50).sum() > 300


def test_holes_are_filled_but_not_the_objects_in_them():
    probability = cell()
    probability[38:41, 48:51] = 0
    plane = empty()
    plane[44:46, 52:54] = 3
    result = grown(plane, probability, (34, 50))
    assert (result[38:41, 48:51] == 50).all()
    assert (result[plane == 3] == 3).all()


def test_a_cell_cut_by_the_border_is_found():
    probability = cell(y=0, x=99)
    result = grown(empty(), probability, (2, 97))
    assert iou(result == 50, disc((80, 100), 0, 99, 12)) > 0.85


def test_a_cell_larger_than_the_first_look_is_found_whole():
    shape = (420, 420)
    probability = cell(shape, 210, 210, 120)
    result = grown(empty(shape), probability, (160, 160))
    assert iou(result == 50, disc(shape, 210, 210, 120)) > 0.95
    with pytest.raises(EditError, match="no clear outline"):
        grown(empty(shape), probability, (160, 160), max_area=10_000)


def test_only_what_is_connected_to_the_click_is_taken():
    probability = np.maximum(cell(x=30), cell(x=70))
    result = grown(empty(), probability, (40, 30)) == 50
    assert result[40, 30]
    assert not result[40, 70]


def test_foreground_everywhere_has_no_outline():
    flat = np.full((600, 600), 0.9)
    with pytest.raises(EditError, match=r"no clear outline.*draw"):
        grown(empty((600, 600)), flat, (300, 300))


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ((5, 5), "saw nothing here; draw"),
        ((-3, 5), "beside the image"),
        ((5, 100), "beside the image"),
        ((61, 81), "Object 7 is here already"),
        ((np.nan, 3), "no positions"),
        ((3,), "no positions"),
    ],
)
def test_a_click_that_grows_nothing_says_what_to_do(point, words):
    plane = empty()
    plane[60:70, 80:90] = 7
    with pytest.raises(EditError, match=words):
        grown(plane, cell(), point)


def test_maps_of_another_size_and_a_taken_id_are_refused():
    with pytest.raises(EditError, match="differ in size"):
        grown(empty(), cell()[:-1], (40, 50))
    with pytest.raises(EditError, match="differ in size"):
        grown(empty(), cell(), (40, 50), contour=cell()[1:])
    plane = empty()
    plane[0, 0] = 50
    with pytest.raises(EditError, match="50 already"):
        grown(plane, cell(), (40, 50))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(-1, 2))
def test_it_only_ever_fills_background_around_the_click(seed, level):
    random = np.random.default_rng(seed)
    probability = gaussian_filter(random.random((40, 40)), 2)
    probability = (probability - probability.min()) / np.ptp(probability)
    plane = (gaussian_filter(random.random((40, 40)), 2) > 0.53).astype(np.int32) * 9
    point = tuple(random.integers(0, 40, 2))
    try:
        result = grown(plane, probability, point, level)
    except EditError:
        return
    assert result[point] == 50
    assert (result[result != plane] == 50).all()
    assert (plane[result != plane] == 0).all()
    assert (result == 50).sum() >= 10
