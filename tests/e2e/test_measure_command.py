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
    assert "treated: 2 objects in 1 image" in said
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


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, data)
    return path


class TestEqualNames:
    """Files of one name in several folders, each to be measured in its own image."""

    LABELS = np.kron(np.array([[1, 0], [0, 2]], np.uint16), np.ones((6, 6), np.uint16))

    def test_the_image_in_the_nearest_folder_is_taken(self, run, tmp_path):
        for plate, value in (("p1", 10), ("p2", 20)):
            write(tmp_path / plate / "labels" / "A01_labels.tif", self.LABELS)
            write(tmp_path / plate / "images" / "A01.tif", np.full((12, 12), value, np.uint8))
        plates = [tmp_path / "p1", tmp_path / "p2"]
        labels, images = [p / "labels" for p in plates], [p / "images" for p in plates]
        assert run(*labels, "--image", *images, "-o", tmp_path / "t.csv")[0] == 0
        found = [(row["group"], row["mean_C0"]) for row in rows(tmp_path / "t.csv")]
        assert found == [("p1", "10.0")] * 2 + [("p2", "20.0")] * 2

    def test_no_image_is_taken_at_random(self, run, tmp_path):
        for plate in ("p1", "p2"):
            write(tmp_path / plate / "labels" / "A01_labels.tif", self.LABELS)
            write(tmp_path / "raw" / plate / "A01.tif", self.LABELS)
        labels = [tmp_path / plate / "labels" for plate in ("p1", "p2")]
        images = [tmp_path / "raw" / plate for plate in ("p1", "p2")]
        status, _, complaint = run(*labels, "--image", *images, "-o", tmp_path / "t.csv")
        assert status == 1
        assert "could both be the image of" in complaint
        assert not (tmp_path / "t.csv").exists()

    def test_results_that_a_batch_called_after_their_folders(self, run, tmp_path):
        for plate, value in (("p1", 10), ("p2", 20)):
            write(tmp_path / "out" / "labels" / f"{plate}_A01_labels.tif", self.LABELS)
            write(tmp_path / plate / "A01.tif", np.full((12, 12), value, np.uint8))
        images = (tmp_path / "p1", tmp_path / "p2")
        options = ("--image", *images, "-o", tmp_path / "t.csv")
        assert run(tmp_path / "out" / "labels", *options)[0] == 0
        found = [(row["image"], row["mean_C0"]) for row in rows(tmp_path / "t.csv")]
        assert found == [("p1_A01", "10.0")] * 2 + [("p2_A01", "20.0")] * 2

    def test_a_file_named_twice_is_measured_once(self, run, folder):
        labels = folder / "cells0_labels.tif"
        assert run(labels, labels, "-o", folder / "t.csv")[0] == 0
        assert [row["label"] for row in rows(folder / "t.csv")] == ["1", "2", "3"]

    def test_two_that_the_table_could_not_tell_apart_are_refused(self, run, folder):
        write(folder / "cells0_masks.tif", self.LABELS)
        status, _, complaint = run(folder, "-o", folder / "t.csv")
        assert status == 1
        assert "would be called 'cells0'" in complaint


def test_labels_tell_the_axes_that_a_file_leaves_in_doubt(run, tmp_path):
    data = np.kron(np.array([[1, 0], [0, 2]], np.uint16), np.ones((6, 6), np.uint16))
    stack = np.stack([data, data, data])
    api.write_labels(Labels(stack.astype(np.int32), "ZYX"), tmp_path / "s_labels.tif")
    tifffile.imwrite(tmp_path / "s.tif", stack * 7, photometric="minisblack", metadata=None)
    out = tmp_path / "t.csv"
    assert run(tmp_path / "s_labels.tif", "--image", tmp_path / "s.tif", "-o", out)[0] == 0
    assert [(row["z"], row["mean_C0"]) for row in rows(out)][:2] == [("0", "7.0"), ("0", "14.0")]


def test_one_file_that_cannot_be_measured_is_told_once(run, folder):
    tifffile.imwrite(folder / "small.tif", np.ones((3, 4), np.uint8))
    labels, options = folder / "cells0_labels.tif", ("-o", folder / "t.csv")
    status, _, complaint = run(labels, "--image", folder / "small.tif", *options)
    assert status == 1
    assert complaint.count("differ in size") == 1
    status, _, complaint = run(labels, "--pixel-size", "nan", *options)
    assert status == 2
    assert "above 0" in complaint
