"""The command ``export``: label files from one format to another."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_cellseg import cli
from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.export.measurements import read_table
from napari_cellseg.core.reading import read_labels


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main(["export", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def labels(tmp_path):
    data = np.zeros((20, 30), np.uint16)
    data[2:9, 3:12], data[10:18, 15:29], data[12:14, 18:20] = 5, 8, 0
    tifffile.imwrite(tmp_path / "cells.tif", data)
    return tmp_path / "cells.tif", data


@pytest.mark.parametrize("name", ["a.geojson", "a.zip", "a.json"])
def test_there_and_back(run, labels, tmp_path, name):
    path, data = labels
    status, out, _ = run(path, "-o", tmp_path / "new" / name)
    assert status == 0
    assert "2 objects" in out
    assert run(tmp_path / "new" / name, "--to", "label-tiff", "-o", tmp_path / "b.tif")[0] == 0
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif").data, data)


def test_table_and_settings(run, labels, tmp_path):
    path, _ = labels
    (tmp_path / "objects.csv").write_text("label,class,margin\n5,A,0.5\n8,B,\n")
    target = tmp_path / "a.geojson"
    options = ("--table", tmp_path / "objects.csv", "--set", "kind=annotation")
    assert run(path, "-o", target, *options)[0] == 0
    first, second = json.loads(target.read_text())["features"]
    assert first["properties"]["objectType"] == "annotation"
    assert first["properties"]["classification"]["name"] == "A"
    assert first["properties"]["measurements"] == {"margin": 0.5}
    assert "measurements" not in second["properties"]


def test_classes_beside_the_labels_go_along(run, labels, tmp_path):
    (tmp_path / "field_labels.tif").write_bytes(labels[0].read_bytes())
    (tmp_path / "field_objects.csv").write_text("label,class,margin\n5,A,0.5\n8,B,0.25\n")
    assert run(tmp_path / "field_labels.tif", "-o", tmp_path / "a.geojson")[0] == 0
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [one["properties"]["classification"]["name"] for one in features] == ["A", "B"]
    assert features[0]["properties"]["measurements"] == {"margin": 0.5}
    to_csv = ("--to", "measurements-csv", "-o", tmp_path / "m.csv")
    assert run(tmp_path / "field_labels.tif", *to_csv)[0] == 0
    measured = read_table(tmp_path / "m.csv")
    assert measured["class"].tolist() == ["A", "B"]
    assert measured["margin"].tolist() == [0.5, 0.25]
    assert measured["area_px"].tolist() == [63, 108]


def test_a_table_wins_and_its_scores_are_kept_beside_measurements(run, labels, tmp_path):
    (tmp_path / "cells_objects.csv").write_text("label,class\n5,A\n8,B\n")
    (tmp_path / "mine.csv").write_text("label,class,score\n5,C,0.5\n8,D,1\n")
    target = tmp_path / "m.csv"
    options = ("--to", "measurements-csv", "--table", tmp_path / "mine.csv")
    assert run(labels[0], "-o", target, *options)[0] == 0
    assert read_table(target)["class"].tolist() == ["C", "D"]
    assert read_table(target)["score"].tolist() == [0.5, 1]


def test_measurements(run, labels, tmp_path):
    path, data = labels
    tifffile.imwrite(tmp_path / "image.tif", np.where(data > 0, 100, 7).astype(np.uint8))
    target = tmp_path / "m.csv"
    options = ("--to", "measurements-csv", "--image", tmp_path / "image.tif")
    assert run(path, "-o", target, *options)[0] == 0
    found = read_table(target)
    assert found["label"].tolist() == [5, 8]
    assert found["area_px"].tolist() == [63, 108]
    assert found["mean_C0"].tolist() == [100, 100]


def test_wrong_calls(run, labels, tmp_path):
    path, _ = labels
    status, _, err = run(path, "-o", path)
    assert (status, "--overwrite" in err) == (1, True)
    assert run(path, "-o", tmp_path / "a.csv")[0] == 1  # three formats are called so
    assert run(path, "-o", tmp_path / "a.tif", "--set", "dtype=uint9")[0] == 2
    assert run(path, "-o", tmp_path / "a.tif", "--to", "geojsn")[0] == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cells.tif"]


def test_overlap_is_told(run, tmp_path):
    (tmp_path / "a.txt").write_text("1,1,8,1,8,8,1,8\n4,4,12,4,12,12,4,12\n")
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((20, 20), np.uint8))
    status, _, err = run(
        *(tmp_path / "a.txt", "--image", tmp_path / "image.tif"), "-o", tmp_path / "b.tif"
    )
    assert status == 0
    assert "25 pixels belong to more than one object" in err


def test_an_image_whose_axes_are_in_doubt_has_those_of_its_labels(run, tmp_path):
    stack = np.zeros((3, 20, 30), np.uint8)
    stack[:, 2:9, 3:12] = np.array([1, 2, 3])[:, None, None]
    write_labels(Labels(stack.astype(np.int32), "ZYX"), tmp_path / "s_labels.tif")
    tifffile.imwrite(tmp_path / "s.tif", stack * 7, photometric="minisblack", metadata=None)
    target = tmp_path / "m.csv"
    options = ("--to", "measurements-csv", "--image", tmp_path / "s.tif")
    assert run(tmp_path / "s_labels.tif", *options, "-o", target)[0] == 0
    assert read_table(target)["mean_C0"].tolist() == [7, 14, 21]


def test_what_is_no_table_is_told_in_one_line(run, labels, tmp_path):
    path, _ = labels
    status, _, complaint = run(path, "--table", path, "-o", tmp_path / "a.geojson")
    assert status == 1
    assert "is damaged or no CSV" in complaint
    assert len(complaint) < 300


def test_formats_that_can_be_read_are_named(run, tmp_path):
    (tmp_path / "a.xyz").write_text("?")
    complaint = run(tmp_path / "a.xyz", "-o", tmp_path / "b.tif")[2]
    assert "Labels as OME-Zarr (a folder)" in complaint


def test_one_object_is_no_objects(run, tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", np.eye(5, dtype=np.uint8))
    assert run(tmp_path / "one.tif", "-o", tmp_path / "a.json")[1].startswith("1 object, ")
