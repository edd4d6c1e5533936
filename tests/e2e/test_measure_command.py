"""The command ``measure``: label files in, tables out."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from napari_cellseg import api, cli
from napari_cellseg.core.arrays import Labels


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main(["measure", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path):
    """Two images with labels beside them, calibrated, one with a table of classes."""
    labels = np.kron(np.array([[1, 0, 2], [0, 0, 3]]), np.ones((8, 8))).astype(np.int32)
    for k in range(2):
        tifffile.imwrite(tmp_path / f"cells{k}.tif", (labels * 10 + k).astype(np.uint8))
        data = np.where(labels > 3 - k, 0, labels).astype(np.int32)
        api.write_labels(Labels(data, "YX", (0.5, 0.5)), tmp_path / f"cells{k}_labels.tif")
    (tmp_path / "cells0_objects.csv").write_text("label,class,margin\n1,a,0.5\n2,b,0.25\n3,a,1\n")
    return tmp_path


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_table_over_all_files(run, folder):
    out = folder / "out" / "table.csv"
    groups = folder / "groups.json"
    groups.write_text('{"cells1": "treated"}')
    options = ("--summary", "--groups", groups, "-o", out)
    status, said, _ = run(folder, "--image", folder, *options)
    assert status == 0
    assert "5 objects" in said
    assert "treated: 2 objects in 1 images" in said
    found = rows(out)
    assert [row["image"] for row in found] == ["cells0"] * 3 + ["cells1"] * 2
    assert [row["label"] for row in found] == ["1", "2", "3", "1", "2"]
    assert [row["class"] for row in found] == ["a", "b", "a", "", ""]
    assert found[0]["margin"] == "0.5"
    assert {row["area_um2"] for row in found} == {"16.0"}
    assert [row["mean_C0"] for row in found] == ["10.0", "20.0", "30.0", "11.0", "21.0"]
    assert [row["group"] for row in found[2:4]] == [folder.name, "treated"]
    assert [row["objects"] for row in rows(out.with_name("table_images.csv"))] == ["3", "2"]
    assert len(rows(out.with_name("table_groups.csv"))) == 2
    about = json.loads((folder / "out" / "table.csv.json").read_text("utf-8"))
    assert about["files"][0]["labels"].endswith("cells0_labels.tif")
    assert about["settings"]["ring_width"] == 5
    status, _, complaint = run(folder, *options)
    assert status == 1
    assert "exists already" in complaint


def test_settings_and_a_single_image_of_another_name(run, folder):
    image = folder / "other.tif"
    tifffile.imwrite(image, np.full((16, 24), 3, np.uint16))
    out = folder / "table.csv"
    labels = folder / "cells0_labels.tif"
    settings = ("--kinds", "shape", "intensity", "--speed", "fast", "--pixel-size", 1, 2)
    status, _, _ = run(labels, "--image", image, *settings, "-o", out)
    assert status == 0
    row = rows(out)[0]
    assert row["area_um2"] == "128.0"
    assert row["mean_C0"] == "3.0"
    assert not {"neighbours", "solidity"} & set(row)
    status, _, complaint = run(labels, "--ring-width", "wide", "-o", out, "--overwrite")
    assert status == 2
    assert "ring_width" in complaint


def test_bad_files_are_named_and_left_out(run, folder):
    (folder / "bad_labels.tif").write_text("no image")
    status, said, complaint = run(folder, "-o", folder / "t.csv")
    assert status == 1
    assert "5 objects" in said
    assert "bad_labels.tif" in complaint
    assert "1 of 3 files could not be measured" in complaint
    status, _, complaint = run(folder / "bad_labels.tif", "-o", folder / "u.csv")
    assert status == 1
    assert not (folder / "u.csv").exists()


def test_what_is_missing_is_said_before_anything_is_measured(run, folder):
    labels = folder / "cells0_labels.tif"
    for arguments, words in (
        ((folder / "none", "-o", folder / "t.csv"), "no file or folder"),
        ((labels, "-o", folder / "t.txt"), "no name for a table"),
        ((folder, "--image", folder / "cells0.tif", "-o", folder / "t.csv"), "no image for"),
        ((labels, "--groups", labels, "-o", folder / "t.csv"), "cannot be read"),
    ):
        status, _, complaint = run(*arguments)
        assert status == 1
        assert words in complaint
