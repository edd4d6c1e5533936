"""Folders of training data: what is found, what is refused."""

import json

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from napari_cellseg.core.data.sources import find_pairs, load_pairs, median_diameter
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.inference.preparation import Normalization
from napari_cellseg.core.progress import finish


def write_pair(folder, name, shape=(40, 50), labels_shape=None, image=None):
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image = np.arange(np.prod(shape)).reshape(shape) % 251 if image is None else image
    labels = np.zeros(labels_shape or shape[:2], np.uint16)
    labels[5:15, 5:15] = 3
    tifffile.imwrite(folder / "images" / f"{name}.tif", image.astype(np.uint16))
    tifffile.imwrite(folder / "labels" / f"{name}.tif", labels)


def test_split_and_groups_are_followed(tmp_path):
    for name in "abc":
        write_pair(tmp_path, name)
    (tmp_path / "split.json").write_text(json.dumps({"train": ["c", "a"], "val": ["b"]}))
    (tmp_path / "groups.json").write_text(json.dumps({"c": "rare"}))
    pairs = find_pairs(tmp_path, "train")
    assert [(p.name, p.group) for p in pairs] == [("c", "rare"), ("a", tmp_path.name)]
    assert [p.name for p in find_pairs(tmp_path)] == ["a", "b", "c"]
    with pytest.raises(DataError, match="part 'test'"):
        find_pairs(tmp_path, "test")


def test_a_missing_label_is_named(tmp_path):
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b")
    (tmp_path / "labels" / "b.tif").unlink()
    with pytest.raises(DataError, match="'b' lacks"):
        find_pairs(tmp_path)


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_a_missing_folder_is_named(tmp_path, folder):
    write_pair(tmp_path, "a")
    for path in (tmp_path / folder).iterdir():
        path.unlink()
    (tmp_path / folder).rmdir()
    with pytest.raises(DataError, match=f"no folder '{folder}'"):
        find_pairs(tmp_path)


def test_a_broken_split_is_explained(tmp_path):
    write_pair(tmp_path, "a")
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        find_pairs(tmp_path, "train")


def test_images_are_normalised_and_measured(tmp_path):
    write_pair(tmp_path, "a")
    (loaded,) = finish(load_pairs(find_pairs(tmp_path), Normalization()))
    assert loaded.image.shape == (40, 50, 1)
    assert loaded.image.dtype == np.float16
    assert (float(loaded.image.min()), float(loaded.image.max())) == (0.0, 1.0)
    assert loaded.diameter == pytest.approx(2 * np.sqrt(100 / np.pi))


def test_labels_of_another_size_are_refused(tmp_path):
    write_pair(tmp_path, "a", labels_shape=(41, 50))
    with pytest.raises(DataError, match=r"\(41, 50\)"):
        finish(load_pairs(find_pairs(tmp_path), Normalization()))


def test_an_unreadable_image_is_refused(tmp_path):
    write_pair(tmp_path, "a")
    (tmp_path / "images" / "a.tif").write_text("no image")
    with pytest.raises(DataError, match="cannot be read"):
        finish(load_pairs(find_pairs(tmp_path), Normalization()))


def test_median_diameter():
    labels = np.zeros((50, 50), np.int32)
    assert median_diameter(labels) == 0
    labels[:10, :10], labels[20:40, 20:40], labels[45, 45] = 9, 4, 2
    assert median_diameter(labels) == pytest.approx(2 * np.sqrt(100 / np.pi))
