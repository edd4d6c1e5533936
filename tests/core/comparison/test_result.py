"""Table, CSV, plot and reference figures of a comparison that is made up."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from napari_cellseg.core.comparison.cost import NetworkCost
from napari_cellseg.core.comparison.papers import (
    COUNTERPARTS,
    PAPER_TABLES,
    tables_for_architectures,
    tables_for_data,
)
from napari_cellseg.core.comparison.plot import Point, scatter_svg
from napari_cellseg.core.comparison.reference import (
    reference_rows,
    reference_text,
    save_reference,
)
from napari_cellseg.core.comparison.result import ComparedModel, Comparison, Run
from napari_cellseg.core.evaluation import ImageResult
from napari_cellseg.core.metrics import score

TRUE = np.kron([[1, 0], [0, 2]], np.ones((8, 8), int))
HALF = np.where(TRUE == 2, 0, TRUE)  # one of two squares: AP 0.5, Dice 2/3


def run(labels, seconds=1.0, cpu=2.0, megapixels=1.0, folder="field"):
    return Run(ImageResult("x", "g", folder, score(TRUE, labels), seconds), cpu, megapixels)


def comparison(*models, folders=("field",), images=3, **others):
    others = {"skipped": {}, "device": "cpu", **others}
    return Comparison(models, images, tuple(map(Path, folders)), **others)


@pytest.fixture
def two():
    runs = (run(TRUE, 1.0, 3.0), run(HALF, 2.0, 4.0, 0.5), run(HALF, 30.0, 50.0))
    cost = NetworkCost(10_150_000, 64.08e9)
    first = ComparedModel("first", "haru-net", runs, {}, cost, 20_300_000, 512_000_000)
    return comparison(first, ComparedModel("second & last", "unet", problem="It is damaged."))


def test_rows_hold_means_of_scores_and_medians_of_times(two):
    row = two.models[0].as_row()
    assert row["ap50"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert row["dice"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert (row["seconds_per_mpx"], row["cpu_seconds_per_mpx"]) == (4.0, 8.0)


def test_table(two):
    lines = two.table().splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    cells = dict(zip(re.split(r"\s{2,}", lines[0]), re.split(r"\s{2,}", lines[1]), strict=True))
    assert cells == {
        "model": "first",
        "images": "3/3",
        "AP@0.5": "0.667",
        "mAP": "0.667",
        "PQ": "0.778",
        "AJI": "0.667",
        "Dice": "0.778",
        "IoU": "0.667",
        "F1": "0.778",
        "s/Mpx": "4",
        "CPU s/Mpx": "8",
        "M params": "10.15",
        "GFLOP/Mpx": "64.1",
        "file MB": "20.3",
        "peak MB": "512",
    }
    assert "second & last: It is damaged." in lines
    assert "resident memory of the process" in lines[-1]


def test_csv_is_exact(two):
    rows = list(csv.DictReader(io.StringIO(two.to_csv())))
    assert [row["model"] for row in rows] == ["first", "second & last"]
    assert float(rows[0]["ap50"]) == two.models[0].as_row()["ap50"]
    assert rows[0]["parameters"] == "10150000"
    assert rows[1]["ap50"] == rows[1]["parameters"] == ""
    images = list(csv.DictReader(io.StringIO(two.images_csv())))
    assert [row["ap50"] for row in images] == ["1.0", "0.5", "0.5"]
    assert images[1]["megapixels"] == "0.5"
    assert images[1]["cpu_seconds"] == "4.0"


def test_everything_is_written(two, tmp_path):
    two.save(tmp_path / "new" / "out")
    save_reference(two, tmp_path / "new" / "out")
    written = {p.name: p.read_text("utf-8") for p in (tmp_path / "new" / "out").iterdir()}
    assert written.pop("comparison.txt") == two.table() + "\n"
    assert written.pop("comparison.csv") == two.to_csv()
    assert written.pop("comparison_images.csv") == two.images_csv()
    assert written.pop("comparison.svg") == two.to_svg()
    assert written.pop("reference.txt") == reference_text(two) + "\n"
    assert written.pop("reference.csv").startswith("paper,data,system,metric,value,same_data\n")
    assert not written


def test_nothing_at_all_can_still_be_written(tmp_path):
    comparison(ComparedModel("none", "x", problem="It is damaged.")).save(tmp_path)
    assert (tmp_path / "comparison_images.csv").read_text() == ""
    ET.fromstring((tmp_path / "comparison.svg").read_text())


def elements(svg, name):
    return ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}" + name)


def test_plot_places_points_by_time_and_score():
    points = [Point("<slow> & good", 5.0, 0.9), Point("fast", 0.05, 0.7), Point("middle", 0.5, 0.8)]
    svg = scatter_svg(points, "time", "score")
    at = {
        one[0].text.split(":")[0]: (float(one.get("cx")), float(one.get("cy")))
        for one in elements(svg, "circle")
    }
    slow, fast, middle = at["<slow> & good"], at["fast"], at["middle"]
    assert fast[0] < middle[0] < slow[0]
    assert middle[0] - fast[0] == pytest.approx(slow[0] - middle[0], abs=0.2)  # logarithmic
    assert fast[1] > middle[1] > slow[1]
    ticks = {one.text: (float(one.get("x")), float(one.get("y"))) for one in elements(svg, "text")}
    assert ticks["0.5"][0] == pytest.approx(middle[0], abs=0.1)
    assert ticks["0.8"][1] == pytest.approx(middle[1] + 4, abs=0.1)
    assert {"time", "score", "<slow> & good"} <= set(ticks)


@pytest.mark.parametrize("seconds", [1e-4, 0.3, 1.0, 5000.0])
@pytest.mark.parametrize("value", [0.0, 0.5, 0.87, 1.0])
def test_equal_points_stay_inside_and_their_labels_apart(seconds, value):
    names = [f"model {number}" for number in range(5)]
    svg = scatter_svg([Point(name, seconds, value) for name in names], "x", "y")
    for one in elements(svg, "circle"):
        assert 70 <= float(one.get("cx")) <= 730
        assert 30 <= float(one.get("cy")) <= 400
    heights = sorted(float(t.get("y")) for t in elements(svg, "text") if t.text in names)
    assert len(heights) == 5
    assert min(np.diff(heights)) >= 12


def test_papers_tables_are_sound():
    for table in PAPER_TABLES:
        assert all(len(row) == 1 + len(table.metrics) for row in table.rows)
        shares = [m not in ("M params",) for m in table.metrics]
        for _, *values in table.rows:
            assert all(0 < v < 1 for v, share in zip(values, shares, strict=True) if share)
        assert table.paper
        assert table.folders
        assert table.architectures
    rows = score(TRUE, HALF).as_row()
    assert set(COUNTERPARTS.values()) <= {*rows, "parameters"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("MoNuSeg_test", ["MoNuSeg"]),
        ("cpm-17", ["CPM-17"]),
        ("Sartorius 2021", ["Sartorius", "Sartorius"]),
        ("nuclei_dsb2018", []),
    ],
)
def test_folders_are_known_by_their_names(tmp_path, name, data):
    assert [table.data for table in tables_for_data(tmp_path / name)] == data


def test_ours_stand_beside_the_papers_on_the_same_data(two):
    other = run(TRUE, folder="elsewhere")
    models = (
        ComparedModel("mine", "x", (run(HALF, folder="monuseg"), other)),
        ComparedModel("none", "x"),
    )
    both = comparison(*models, folders=("data/monuseg", "data/elsewhere"))
    lines = [re.split(r"\s{2,}", line) for line in reference_text(both).splitlines()]
    assert ["MoNuSeg", "Dice", "AJI", "PQ"] in lines
    assert ["HARU-Net (and post-processing)", "0.838", "0.656", "0.624"] in lines
    assert ["here: mine", "0.6667", "0.5", "0.6667"] in lines  # of that folder alone
    assert ["here: none", "–", "–", "–"] in lines
    assert "cannot be compared" not in reference_text(both)
    rows = reference_rows(both)
    assert {(row["data"], row["same_data"]) for row in rows} == {("MoNuSeg", True)}
    assert len(rows) == 6 * 3


def test_parameters_stand_beside_in_millions():
    model = ComparedModel("mine", "attention-unet", cost=NetworkCost(6_500_000, 1.0))
    text = reference_text(comparison(model, folders=("sartorius",)))
    assert re.search(r"here: mine +– +– +6\.5\n", text)


def test_figures_from_other_images_are_called_that(two):
    text = reference_text(two)
    assert text.startswith("None of the data folders")
    assert "CoNSeP" in text
    assert "SegPC" not in text
    assert "here:" not in text
    assert not any(row["same_data"] for row in reference_rows(two))
    assert [table.data for table in tables_for_architectures(["u2net"])] == ["MoNuSeg"]
    unknown = comparison(ComparedModel("mine", "brightness"))
    assert "no figures" in reference_text(unknown)
    assert reference_rows(unknown) == []
