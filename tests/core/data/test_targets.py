"""Targets: what they look like, and that Algorithm 1 gives the labels back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.data.targets import TargetParams, contour_map, make_targets

labels_2d = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4)
)


def two_squares(gap=0):
    labels = np.zeros((20, 30 + gap), np.int32)
    labels[5:15, 5:15] = 7
    labels[5:15, 15 + gap : 25 + gap] = 3
    return labels


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_line_between_two_objects_has_the_asked_width(width):
    contour = contour_map(two_squares(), TargetParams(contour_width=width))
    assert contour[10].sum() == width
    assert abs(np.flatnonzero(contour[10]).mean() - 14.5) <= 0.5


def test_lonely_objects_have_no_touching_contour():
    assert not contour_map(two_squares(gap=4), TargetParams(contour_width=2)).any()


def test_a_narrow_gap_belongs_to_the_contour():
    contour = contour_map(two_squares(gap=1), TargetParams(contour_width=2))
    assert contour[10, 15]


def test_full_outline_is_the_outermost_rings():
    contour = contour_map(two_squares(gap=4), TargetParams(contour="full", contour_width=2))
    assert contour[5:7, 5:15].all()
    assert contour[5:15, 5:7].all()
    assert not contour[7:13, 7:13].any()
    assert not contour[two_squares(gap=4) == 0].any()


@given(labels_2d, st.integers(1, 4))
def test_touching_sees_exactly_windows_with_two_objects(labels, width):
    contour = contour_map(labels, TargetParams(contour_width=width))
    before = (width + 1) // 2
    padded = np.pad(labels, before, mode="edge")
    padded = np.pad(padded, ((0, width), (0, width)), mode="edge")
    for y, x in np.ndindex(labels.shape):
        window = padded[y : y + width + 1, x : x + width + 1]
        assert contour[y, x] == (len(set(window[window > 0].tolist())) >= 2)


@given(labels_2d)
def test_renumbering_changes_nothing(labels):
    renumbered = np.array([0, 40, 9, 1, 1000], np.int32)[labels]
    for kind in ("touching", "full"):
        params = TargetParams(contour=kind)
        assert np.array_equal(contour_map(labels, params), contour_map(renumbered, params))


def test_empty_labels_have_empty_maps():
    maps = make_targets(np.zeros((4, 5), np.uint16), TargetParams())
    assert all(m.shape == (4, 5) and m.dtype == np.float32 and not m.any() for m in maps.values())


@pytest.mark.parametrize(
    ("sizes", "least"),
    [({"min_seed_area": 0, "min_area": 0}, 0.98), ({}, 0.97)],
    ids=["as-printed", "default-sizes"],
)
@pytest.mark.parametrize("dataset", ["nuclei_dsb2018", "nuclei_bbbc039"])
def test_algorithm_1_gives_true_labels_back(shared_data, dataset, sizes, least):
    """Mean AP@0.5 of labels -> default targets -> Algorithm 1.

    The default least sizes drop what is smaller than 16 px: debris that BBBC039 labels as well.
    """
    tifffile = pytest.importorskip("tifffile")
    from napari_cellseg.core.metrics import score
    from napari_cellseg.core.postprocess.params import PostParams
    from napari_cellseg.core.postprocess.postprocessor import PostProcessor

    folder = shared_data / dataset
    names = json.loads((folder / "split.json").read_text())["val"]
    scores = []
    for name in names:
        labels = tifffile.imread(folder / "labels" / f"{name}.tif")
        maps = make_targets(labels, TargetParams())
        maps = {k: (255 * m).astype(np.uint8) for k, m in maps.items()}
        result = PostProcessor(maps).run(PostParams(**sizes))
        scores.append(score(labels, result.labels).ap[0])
    assert np.mean(scores) >= least
