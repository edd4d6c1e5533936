"""The command ``batch``: a folder in, one tree of results out, taken up again."""

import csv

import numpy as np
import pytest
import tifffile

from napari_cellseg import cli
from napari_cellseg.core.reading import read_labels
from napari_cellseg.core.recipe import Recipe


def squares(number):
    image = np.zeros((64, 96), np.uint8)
    for k in range(number):
        image[5 + 20 * (k // 4) : 17 + 20 * (k // 4), 5 + 22 * (k % 4) : 17 + 22 * (k % 4)] = 200
    return image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 3):
        tifffile.imwrite(folder / f"f{number}.tif", squares(number))
    return folder


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return run


def test_a_folder_then_once_more_with_another_file(run, images, bright_model, tmp_path):
    out = tmp_path / "out"
    command = ("batch", images, "-o", out, "--model", bright_model, "--measure")
    status, said, _ = run(*command, "--set", "post.min_area=5")
    assert status == 0
    assert "f1.tif: 1 object\n" in said
    assert "2 of 2 images" in said
    assert read_labels(out / "labels" / "f3_labels.tif").n_objects == 3
    assert Recipe.load(out / "recipe.json").post.min_area == 5
    with (out / "measurements.csv").open(newline="") as stream:
        assert [row["image"] for row in csv.DictReader(stream)] == ["f1", "f3", "f3", "f3"]
    (images / "bad.tif").write_bytes(b"II*\0")
    status, said, complained = run(*command, "--recipe", out / "recipe.json", "--resume")
    assert status == 1
    assert "f3.tif: finished before, 3 objects" in said
    assert "bad.tif" in complained
    assert "1 of 3 images could not be segmented" in complained
    assert "bad.tif" in (out / "report.txt").read_text()


def test_a_list_of_images(run, images, bright_model, tmp_path):
    jobs = tmp_path / "jobs.txt"
    jobs.write_text("images/f3.tif\n")
    status, said, _ = run(
        "batch", "--jobs-file", jobs, "-o", tmp_path / "out", "--model", bright_model
    )
    assert status == 0
    assert "f3.tif" in said
    assert "f1.tif" not in said
    assert not (tmp_path / "out" / "measurements.csv").exists()


def test_a_folder_alone_is_enough_to_go_on(run, images, bright_model, tmp_path):
    out = tmp_path / "out"
    command = ("batch", images, "-o", out, "--model", bright_model, "--measure")
    run(*command, "--also", "imagej-roi", "--set", "post.min_area=5")
    (out / "labels" / "f3_labels.tif").unlink()
    (out / "imagej-roi" / "f3.zip").unlink()
    status, said, _ = run("batch", "-o", out, "--resume")
    assert status == 0
    assert "f1.tif: finished before" in said
    assert "f3.tif: 3 objects" in said
    assert (out / "imagej-roi" / "f3.zip").is_file()
    assert Recipe.load(out / "recipe.json").post.min_area == 5
    status, _, complained = run("batch", "-o", out, "--resume", "--model", bright_model)
    assert (status, "leave out --model" in complained) == (2, True)
    status, _, complained = run("batch", "-o", tmp_path / "other", "--resume")
    assert (status, "holds no batch" in complained) == (1, True)


def test_nothing_to_do_is_said(run, tmp_path):
    status, _, complained = run("batch", "-o", tmp_path / "out")
    assert status == 2
    assert "--jobs-file" in complained


def test_formats_of_measurements_measure(run, images, bright_model, tmp_path):
    out = tmp_path / "out"
    command = ("batch", images, "-o", out, "--model", bright_model)
    status, said, _ = run(*command, "--also", "measurements-csv", "--also", "measurements-csv")
    assert status == 0
    assert "2 of 2 images" in said
    assert (out / "measurements-csv" / "f3.csv").is_file()


def test_why_an_image_could_not_be_written_is_said(run, images, bright_model, tmp_path):
    tifffile.imwrite(images / "s.ome.tif", np.stack([squares(2)] * 2), metadata={"axes": "ZYX"})
    command = ("batch", images, "-o", tmp_path / "out", "--model", bright_model)
    status, _, complained = run(*command, "--also", "outlines-text")
    assert status == 1
    assert complained.count("s.ome.tif: Outlines as text are for one plane") == 1


def test_equal_names_of_another_folder_replace_nothing_unasked(run, images, bright_model, tmp_path):
    out, other = tmp_path / "out", tmp_path / "day2" / "f3.tif"
    options = ("-o", out, "--model", bright_model)
    assert run("batch", images, *options)[0] == 0
    other.parent.mkdir()
    tifffile.imwrite(other, squares(2))
    status, _, complained = run("batch", other.parent, *options)
    assert status == 1
    assert "results of other images with the same names" in complained
    assert read_labels(out / "labels" / "f3_labels.tif").n_objects == 3
    assert run("batch", other.parent, *options, "--again")[0] == 0
    assert read_labels(out / "labels" / "f3_labels.tif").n_objects == 2
