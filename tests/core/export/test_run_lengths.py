"""COCO JSON loads in COCO's own tools, Kaggle's CSV is what the competition wanted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.export import coco, kaggle

SMALL = Labels(np.int32([[0, 1, 1], [1, 0, 7]]), "YX", name="small")


@pytest.mark.parametrize("kind", ["rle", "polygons"])
def test_coco_as_its_own_tools_read_it(tmp_path, labels, table, kind):
    tools = pytest.importorskip("pycocotools.coco")
    exporter = coco.Coco(coco.CocoParams(segmentation=kind))
    exporter.write(labels, tmp_path / "a.json", None, table)
    loaded = tools.COCO(str(tmp_path / "a.json"))
    assert [one["name"] for one in loaded.loadCats(loaded.getCatIds())] == ["even", "odd", "cell"]
    (image,) = loaded.loadImgs(loaded.getImgIds())
    assert (image["height"], image["width"]) == labels.data.shape
    annotations = loaded.loadAnns(loaded.getAnnIds())
    assert [one["label"] for one in annotations] == np.unique(labels.data)[1:].tolist()
    for one in annotations:
        mask = labels.data == one["label"]
        np.testing.assert_array_equal(loaded.annToMask(one), mask)
        y, x = np.nonzero(mask)
        box = [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
        assert one["bbox"] == box
        assert one["area"] == mask.sum()
        assert one["score"] == table["score"][table["label"] == one["label"]]


def test_coco_polygons_come_back_the_same(tmp_path, labels):
    coco.Coco(coco.CocoParams(segmentation="polygons")).write(labels, tmp_path / "a.json")
    np.testing.assert_array_equal(coco.read(tmp_path / "a.json").labels.data, labels.data)


def test_coco_with_packed_counts(tmp_path, labels):
    tools = pytest.importorskip("pycocotools.mask")
    mask = np.asfortranarray(labels.data == 3, np.uint8)
    packed = tools.encode(mask)
    shape = {"size": packed["size"], "counts": packed["counts"].decode()}
    _write(tmp_path, [{"image_id": 5, "category_id": 1, "segmentation": shape}])
    found = coco.read(tmp_path / "a.json", Image(np.zeros((24, 40)), "YX", name="b"))
    np.testing.assert_array_equal(found.labels.data, mask)


def test_coco_polygons_of_one_object_are_taken_together(tmp_path):
    squares = [[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 6, 2, 6, 6, 2, 6]]
    _write(tmp_path, [{"image_id": 5, "category_id": 1, "segmentation": squares}])
    found = coco.read(tmp_path / "a.json", Image(np.zeros((24, 40)), "YX", name="b"))
    assert found.labels.data.sum() == 16 + 16 - 4
    assert found.overlap == 0


def test_coco_image_must_be_named(tmp_path):
    _write(tmp_path, [])
    with pytest.raises(DataError, match="which of its images"):
        coco.read(tmp_path / "a.json", Image(np.zeros((24, 40)), "YX", name="other"))
    with pytest.raises(DataError, match="which of its images"):
        coco.read(tmp_path / "a.json")


def test_coco_mask_of_another_size(tmp_path):
    shape = {"size": [24, 40], "counts": [10, 5]}
    _write(tmp_path, [{"image_id": 5, "category_id": 1, "segmentation": shape}])
    with pytest.raises(DataError, match="does not fit"):
        coco.read(tmp_path / "a.json", Image(np.zeros((24, 40)), "YX", name="b"))


def _write(folder, annotations):
    names = {4: "a.png", 5: "b.png"}
    images = [{"id": k, "file_name": n, "height": 24, "width": 40} for k, n in names.items()]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "c"}]}
    (folder / "a.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("rows", "id,predicted\nfield,2 3\nfield,6 1\n"),  # runs go on in the next row
        ("columns", "ImageId,EncodedPixels\nfield,2 2 5 1\nfield,6 1\n"),
    ],
)
def test_kaggle_by_hand(tmp_path, order, text):
    image = Image(np.zeros((2, 3)), "YX", name="field")
    kaggle.Kaggle(kaggle.KaggleParams(order=order)).write(SMALL, tmp_path / "a.csv", image)
    assert (tmp_path / "a.csv").read_text() == text
    np.testing.assert_array_equal(kaggle.read(tmp_path / "a.csv").labels.data, SMALL.data)
    (tmp_path / "a.csv.json").unlink()  # then objects are numbered as they come
    found = kaggle.read(tmp_path / "a.csv", image).labels.data
    np.testing.assert_array_equal(found, [[0, 1, 1], [1, 0, 2]])


def test_kaggle_no_pixel_twice_and_an_image_without_objects(tmp_path, stack):
    stack.data[1, 2] = 0
    kaggle.Kaggle().write(stack, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert lines[-1] == "cells_t1_z2,"
    taken = set()
    for line in lines:
        name, runs = line.split(",")
        numbers = list(map(int, runs.split()))
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            pixels = {(name, pixel) for pixel in range(start, start + length)}
            assert not pixels & taken
            taken |= pixels
    assert len(taken) == (stack.data > 0).sum()


def test_kaggle_training_table(tmp_path):
    rows = "id,annotation,width,height,cell_type\na,1 2,3,2,x\nb,4 3,3,2,x\nb,5 1,3,2,x\n"
    (tmp_path / "a.csv").write_text(rows)
    found = kaggle.read(tmp_path / "a.csv", Image(np.zeros((2, 3)), "YX", name="b"))
    np.testing.assert_array_equal(found.labels.data, [[0, 0, 0], [1, 2, 1]])
    assert found.overlap == 1
    with pytest.raises(DataError, match="which of its images"):
        kaggle.read(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(rows[: rows.index("b,4")])
    np.testing.assert_array_equal(
        kaggle.read(tmp_path / "a.csv").labels.data, [[1, 1, 0], [0, 0, 0]]
    )


@pytest.mark.parametrize("runs", ["0 2", "5 3", "2 0"])
def test_kaggle_runs_outside_are_refused(tmp_path, runs):
    (tmp_path / "a.csv").write_text(f"id,predicted\na,{runs}\n")
    with pytest.raises(DataError, match="do not fit"):
        kaggle.read(tmp_path / "a.csv", Image(np.zeros((2, 3)), "YX"))
