"""The command ``compare`` and its form for Python."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from napari_cellseg import api, cli
from napari_cellseg.cli.compare import split_names


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def folders(tmp_path):
    """Two folders of one image each."""
    made = []
    for name in ("monuseg", "other"):
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        (folder / "labels").mkdir()
        labels = np.zeros((64, 96), np.uint8)
        labels[8:24, 8:24] = 1
        tifffile.imwrite(folder / "images" / "f.tif", labels * 200)
        tifffile.imwrite(folder / "labels" / "f.tif", labels)
        made.append(folder)
    return made


def test_table_files_and_references(run, folders, bright_model, tmp_path):
    out = tmp_path / "out"
    status, said, _ = run(
        *("compare", "--models", bright_model, "--data", *folders, "--reference", "-o", out)
    )
    assert status == 0
    heading, line, *_ = said.splitlines()
    assert heading.split()[:3] == ["model", "images", "AP@0.5"]
    assert line.split()[:3] == ["bright", "2/2", "1.000"]
    assert "HARU-Net" in said
    assert "here: bright" in said
    assert sorted(path.name for path in out.iterdir()) == [
        "comparison.csv",
        "comparison.svg",
        "comparison.txt",
        "comparison_images.csv",
        "reference.csv",
        "reference.txt",
    ]
    with (out / "comparison_images.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["folder"] for row in rows] == ["monuseg", "other"]


def test_without_reference_there_are_no_papers(run, folders, bright_model, tmp_path):
    status, said, _ = run(
        "compare", "--models", bright_model, "--data", folders[0], "-o", tmp_path / "out"
    )
    assert status == 0
    assert "HARU" not in said
    assert not (tmp_path / "out" / "reference.csv").exists()


def test_json(run, folders, bright_model):
    base = ("compare", "--models", bright_model, "--data", folders[0], "--json")
    content = json.loads(run(*base)[1])
    assert content["models"][0]["ap50"] == 1.0
    assert "reference" not in content
    assert json.loads(run(*base, "--reference")[1])["reference"][0]["data"] == "MoNuSeg"


@pytest.mark.parametrize("command", ["compare", "evaluate"])
def test_specks_may_be_left_out(run, folders, bright_model, command):
    models = "--models" if command == "compare" else "--model"
    base = (command, models, bright_model, "--data", folders[0], "--json")
    said = json.loads(run(*base, "--smallest", "24")[1])
    assert said["smallest"] == 24
    assert json.loads(run(*base)[1])["smallest"] == 0


def test_a_part_of_the_split(run, folders, bright_model):
    (folders[0] / "split.json").write_text(json.dumps({"train": ["f"], "val": []}))
    base = ("compare", "--models", bright_model, "--data", folders[0])
    assert run(*base)[0] == 1
    assert run(*base, "--split", "train")[0] == 0
    assert run(*base, "--split", "all")[0] == 0


def test_problems_are_told(run, folders, bright_model):
    status, _, complaints = run("compare", "--models", "brihgt", "--data", folders[0])
    assert status == 1
    assert "Did you mean 'bright'" in complaints
    (folders[1] / "images" / "f.tif").write_bytes(b"no image")
    status, said, complaints = run("compare", "--models", bright_model, "--data", *folders)
    assert status == 1
    assert "f.tif' is not an image" in complaints
    assert "  1/2  " in said
    assert "It was left out." in said
    assert run("compare", "--models", ",", "--data", folders[0])[0] == 2


def test_names_are_divided_at_commas_unless_they_are_a_path(tmp_path):
    path = tmp_path / "one,two"
    path.mkdir()
    assert split_names(["a, b", "c,", str(path)]) == ["a", "b", "c", str(path)]


def test_python(folders, bright_model):
    steps = []
    result = api.compare(folders, [bright_model], progress=steps.append)
    assert result.models[0].as_row()["ap50"] == 1.0
    assert (steps[-1].done, steps[-1].total) == (2, 2)
    assert result.images == 2
