"""Which label file goes with which reference."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_cellseg.core.agreement.pairs import FilePair, array_pair, find_label_pairs
from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.errors import DataError


@pytest.fixture
def folder(tmp_path):
    def made(name, *files):
        (tmp_path / name).mkdir()
        for file in files:
            tifffile.imwrite(tmp_path / name / file, np.ones((4, 4), np.uint8))
        return tmp_path / name

    return made


def test_files_of_two_folders_are_matched_by_stem(folder):
    ours = folder("ours", "b_labels.tif", "b.tif", "a.ome.tif", "lonely_masks.tif", ".hidden.tif")
    theirs = folder("theirs", "a_labels.tif", "b.tif", "unused.tif")
    images = folder("images", "b.tif")
    pairs, alone = find_label_pairs(ours, theirs, images)
    assert pairs == [
        FilePair("a", ours / "a.ome.tif", theirs / "a_labels.tif", None),
        FilePair("b", ours / "b_labels.tif", theirs / "b.tif", images / "b.tif"),
    ]
    assert set(alone) == {"lonely_masks.tif", "unused.tif"}
    assert str(theirs) in alone["lonely_masks.tif"]


def test_two_files_need_no_common_name(folder):
    a, b = folder("a", "x_labels.tif") / "x_labels.tif", folder("b", "y.tif") / "y.tif"
    assert find_label_pairs(a, b) == ([FilePair("x", a, b, None)], {})


def test_what_does_not_go_together_is_refused(folder, tmp_path):
    a, b = folder("a", "x.tif"), folder("b", "y.tif")
    with pytest.raises(DataError, match="name labels and reference"):
        find_label_pairs(a, b)
    with pytest.raises(DataError, match=r"is a file.*is a folder"):
        find_label_pairs(a / "x.tif", b)
    with pytest.raises(DataError, match="no file or folder"):
        find_label_pairs(a, tmp_path / "absent")
    two = folder("two", "x_labels.tif", "x_masks.tif")
    with pytest.raises(DataError, match="move one of them"):
        find_label_pairs(two, a)


def test_pairs_of_arrays_labels_and_paths(folder):
    path = folder("a", "x.tif") / "x.tif"
    pair = array_pair(Labels(np.zeros((4, 4), np.int32), "YX", name="mine"), path)
    assert pair.name == "mine"
    labels, reference, image = pair.read()
    assert (labels.max(), reference.max(), image) == (0, 1, None)
