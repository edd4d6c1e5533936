"""The command ``report`` and its form for Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_cellseg import api, cli


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main(["report", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def folders(tmp_path):
    """Return folders of labels, reference and images; of image b one of two cells is missed."""
    reference = np.zeros((40, 50), np.uint16)
    reference[5:15, 5:15], reference[20:32, 20:32] = 1, 2
    made = [tmp_path / name for name in ("mine", "truth", "images")]
    for folder in made:
        folder.mkdir()
    for name, labels in (("a", reference), ("b", np.where(reference == 2, 0, reference))):
        tifffile.imwrite(made[0] / f"{name}_labels.tif", labels)
        tifffile.imwrite(made[1] / f"{name}.tif", reference)
        tifffile.imwrite(made[2] / f"{name}.tif", reference * 90)
    return made


def test_folders_page_and_tables(run, folders, tmp_path):
    mine, truth, images = folders
    page = tmp_path / "new" / "report.html"
    status, said, _ = run(mine, truth, "--image", images, "-o", page, "--csv")
    assert status == 0
    assert "AP at IoU 0.5                  0.750 [0.500, 1.000]" in said
    assert "mine compared with truth" in page.read_text("utf-8")
    assert sorted(one.name for one in page.parent.iterdir()) == [
        *("report.html", "report_errors.csv", "report_images.csv"),
    ]
    assert (page.parent / "report_errors.csv").read_text().splitlines()[1].startswith("b,missed,,2")
    status, _, said = run(mine, truth, "-o", page)
    assert status == 1
    assert "--overwrite" in said
    assert run(mine, truth, "-o", page, "--overwrite")[0] == 0


def test_files_settings_and_json(run, folders, tmp_path):
    truth = folders[1]
    shifted = tmp_path / "shifted.tif"
    tifffile.imwrite(shifted, np.roll(tifffile.imread(truth / "a.tif"), 1, axis=0))
    files = (shifted, truth / "a.tif", "-o", tmp_path / "r.html", "--overwrite", "--json")
    status, said, _ = run(*files)
    assert status == 0
    assert json.loads(said)["errors"]["poor_outline"] == 0
    found = json.loads(run(*files, "--outline", "0.9")[1])
    assert found["errors"]["poor_outline"] == 2
    assert found["settings"] == {"iou": 0.5, "outline": 0.9}
    status, _, said = run(*files, "--outline", "7")
    assert status == 2
    assert "outline" in said


def test_the_page_is_called_html(run, folders, tmp_path):
    status, _, said = run(*folders[:2], "-o", tmp_path / "r.pdf")
    assert status == 1
    assert "let it end in .html" in said
    assert not (tmp_path / "r.pdf").exists()


def test_one_pair_that_does_not_fit_is_told_once(run, folders, tmp_path):
    tifffile.imwrite(tmp_path / "small.tif", np.ones((4, 4), np.uint8))
    files = (tmp_path / "small.tif", folders[1] / "a.tif")
    status, _, said = run(*files, "-o", tmp_path / "r.html")
    assert status == 1
    assert said.count("have the shape") == 1


def test_labels_tell_the_axes_of_an_image_in_doubt(run, tmp_path):
    stack = np.zeros((3, 20, 30), np.uint8)
    stack[:, 4:12, 5:15] = 1
    api.write_labels(api.Labels(stack.astype(np.int32), "ZYX"), tmp_path / "s_labels.tif")
    tifffile.imwrite(tmp_path / "s.tif", stack * 50, photometric="minisblack", metadata=None)
    labels = tmp_path / "s_labels.tif"
    options = ("--image", tmp_path / "s.tif", "-o", tmp_path / "r.html")
    assert run(labels, labels, *options)[0] == 0


def test_what_is_left_out_is_named(run, folders, tmp_path):
    mine, truth, _ = folders
    (mine / "a_labels.tif").write_bytes(b"no image")
    tifffile.imwrite(truth / "lonely.tif", np.zeros((4, 4), np.uint8))
    status, said, _ = run(mine, truth, "-o", tmp_path / "r.html")
    assert status == 1
    assert "lonely.tif: There is no file of this name" in said
    assert "a: 'a_labels.tif'" in said
    status, _, said = run(mine / "a_labels.tif", truth / "a.tif", "-o", tmp_path / "s.html")
    assert status == 1
    assert said.count("\n") <= 2
    assert not (tmp_path / "s.html").exists()
    assert run(mine, truth, "-o", tmp_path)[0] == 1


def test_python(folders, tmp_path):
    mine, truth, images = folders
    page = tmp_path / "one.html"
    found = api.compare_labels(
        mine / "b_labels.tif", truth / "b.tif", images / "b.tif", report=page, outline=0.8
    )
    assert found.scores["ap50"] == 0.5
    assert [one.kind.title for one in found.errors] == ["missed"]
    assert np.count_nonzero(found.error_map) == 144
    assert "b_labels" not in page.read_text("utf-8").split("</h1>")[0]
    bare = api.compare_labels(tifffile.imread(mine / "b_labels.tif"), truth / "b.tif")
    assert bare.scores == found.scores
    np.testing.assert_array_equal(bare.error_map, found.error_map)
