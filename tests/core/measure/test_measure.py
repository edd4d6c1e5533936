"""Tables of measurements: stacks, odd inputs, decisions, files, summaries."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from napari_cellseg import api
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError, OutputError, SettingsError
from napari_cellseg.core.measure.decisions import Decisions
from napari_cellseg.core.measure.definitions import (
    DEFINITIONS,
    PER_CHANNEL,
    definition,
    unit,
)
from napari_cellseg.core.measure.measure import channel_names, measure
from napari_cellseg.core.measure.saving import save_columns, save_table
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.measure.summary import summarize
from napari_cellseg.core.measure.table import stacked
from napari_cellseg.core.progress import finish

BIG = 2**31 - 1


def small() -> np.ndarray:
    labels = np.zeros((12, 15), np.int32)
    labels[1:4, 2:7] = 4  # 15 px
    labels[6, 6] = BIG  # a single pixel
    labels[9:12, 12:15] = labels[9, 1] = 9  # two pieces, 10 px, one at the edge
    return labels


def run(labels, image=None, **settings):
    return api.measure(labels, image, **settings)


def test_columns_of_all_kinds():
    pixels = np.arange(180, dtype=np.uint16).reshape(12, 15)
    found = run(small(), Image(pixels, "YX", (0.5, 2.0)))
    assert found["label"].tolist() == [4, 9, BIG]
    assert found["area_px"].tolist() == [15, 10, 1]
    assert found["area_um2"].tolist() == [15, 10, 1]
    assert found["bbox_bottom_px"].tolist() == [4, 12, 7]
    assert found["bbox_bottom_um"].tolist() == [2, 6, 3.5]
    assert found["bbox_right_um"].tolist() == [14, 30, 14]
    assert found["touches_edge"].tolist() == [False, True, False]
    assert found["edge_px"].tolist() == [0, 5, 0]
    assert found["neighbours"].tolist() == [0, 0, 0]
    assert found["sum_C0"].tolist() == [15 * 34, pixels[small() == 9].sum(), 96]
    assert found["sum_C0"].dtype == np.int64
    for name in found.columns:
        assert definition(name), name
    assert {name for name in found.columns if not unit(name)} == {
        "label", "eccentricity", "solidity", "touches_edge", "neighbours", "mean_C0", "min_C0",
        "max_C0", "sum_C0", "std_C0", "median_C0", "ring_mean_C0", "mean_minus_ring_C0",
    }  # fmt: skip
    assert found.images[0].covered == 26
    assert found.images[0].pixel_size == (0.5, 2.0)


def test_one_pixel_has_a_size_but_no_direction():
    found = run(small(), kinds=("shape",))
    row = {name: column[2] for name, column in found.columns.items()}
    assert row["perimeter_px"] == row["major_axis_px"] == row["eccentricity"] == 0
    assert row["solidity"] == row["feret_max_px"] == 1
    assert np.isnan(row["orientation_deg"])
    assert row["equivalent_diameter_px"] == pytest.approx(2 / np.pi**0.5)


@pytest.mark.parametrize("shape", [(5, 6), (1, 1), (1, 7), (2, 5, 6), (2, 3, 5, 6)])
def test_no_objects_have_the_same_columns(shape):
    pixels = np.ones(shape, np.float32)
    axes = "TZYX"[-len(shape) :]
    empty = run(np.zeros(shape, np.int32), Image(pixels, axes, (1.0, 2.0)))
    full = run(np.ones(shape, np.int32), Image(pixels, axes, (1.0, 2.0)))
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert empty.images[0].objects == 0
    both = stacked([empty.named("a"), full.named("b"), empty.named("c")])
    assert {n: c.dtype for n, c in both.columns.items()} == {
        n: c.dtype for n, c in full.named("b").columns.items()
    }
    assert summarize(both)["objects"].tolist() == [0, len(full), 0]


def test_an_object_that_fills_the_image_has_no_ring_and_no_neighbour():
    found = run(np.ones((4, 5), np.int32), np.full((4, 5), 7, np.uint8))
    assert found["area_px"] == 20
    assert found["std_C0"] == 0
    assert np.isnan(found["ring_mean_C0"][0])
    assert np.isnan(found["mean_minus_ring_C0"][0])
    assert np.isnan(found["nearest_px"][0])


@pytest.mark.parametrize("value", [0, 200, 50_001])
def test_a_constant_image_does_not_vary(value):
    labels = np.ones((90, 70), np.int32)
    labels[:3] = 0
    for dtype in (np.uint16, np.float32):
        found = run(labels, np.full(labels.shape, value, dtype), kinds=("intensity",))
        assert found["std_C0"][0] == 0
        assert found["mean_minus_ring_C0"][0] == 0
        names = ("mean", "median", "min", "max", "ring_mean")
        assert {found[f"{name}_C0"][0] for name in names} == {value}


def test_pixels_that_are_not_finite_are_left_out():
    labels = np.array([[1, 1, 1, 0], [2, 2, 3, 0], [0, 0, 0, 0]], np.int32)
    nan, inf = np.nan, np.inf
    pixels = np.array([[1, nan, 3, inf], [nan, inf, 5, 4], [nan, 2, 2, 2]], np.float32)
    found = run(labels, pixels, kinds=("intensity",), ring_gap=0, ring_width=1)
    assert found["mean_C0"].tolist()[::2] == [2, 5]
    assert found["sum_C0"].tolist() == [4, 0, 5]
    assert found["std_C0"].tolist()[::2] == [1, 0]
    assert found["min_C0"].tolist()[::2] == [1, 5]
    assert found["max_C0"].tolist()[::2] == [3, 5]
    assert found["median_C0"].tolist()[::2] == [2, 5]
    assert found["ring_mean_C0"][1:].tolist() == [2, 3]
    for name in ("mean", "min", "max", "std", "median", "mean_minus_ring"):
        assert np.isnan(found[f"{name}_C0"][1])
    assert found.notes == (
        "3 pixels of objects are NaN or infinite in channel C0 and were left out.",
    )


def test_extreme_numbers_do_not_overflow():
    labels = np.ones((300, 300), np.int32)
    for dtype in (np.uint64, np.int64, np.uint32):
        top = np.iinfo(dtype).max
        found = run(labels, np.full(labels.shape, top, dtype), kinds=("intensity",))
        assert found["mean_C0"][0] == pytest.approx(float(top))
        assert found["sum_C0"][0] == pytest.approx(float(top) * labels.size)
    low = np.full(labels.shape, -5, np.int16)
    assert run(labels, low, kinds=("intensity",))["max_C0"][0] == -5


def test_stacks_have_a_row_a_plane():
    labels = np.zeros((2, 3, 6, 6), np.int32)
    labels[0, 1, :2, :3] = labels[1, 1, :2, :2] = 5
    labels[1, 2] = 1
    pixels = np.zeros((3, 2, 6, 6, 2), np.uint8)  # Z before T: axes go by their names
    pixels[1, 1] = (10, 20)
    image = Image(pixels, "ZTYXC", (0.5, 0.5), channel_names=("DAPI", "my GFP"))
    found = finish(measure(Labels(labels, "TZYX", z_step=2.0), image))
    assert list(found.columns)[:4] == ["label", "t", "z", "z_position_um"]
    rows = np.stack([found[name] for name in ("label", "t", "z", "area_px")], axis=1)
    assert rows.tolist() == [[5, 0, 1, 6], [5, 1, 1, 4], [1, 1, 2, 36]]
    assert found["z_position_um"].tolist() == [2, 2, 4]
    assert found["mean_DAPI"].tolist() == [0, 10, 0]
    assert found["median_my_GFP"].tolist() == [0, 20, 0]
    single = finish(measure(Labels(labels[:1, 1], "TYX"), Image(pixels[1, :1], "TYXC")))
    assert single["area_px"].tolist() == [6]
    flat = finish(measure(Labels(labels[0, 1], "YX"), Image(pixels[1, :1], "TYXC")))
    assert flat["area_px"].tolist() == [6]


def test_names_of_channels():
    plane = np.zeros((4, 4, 3), np.uint8)
    assert channel_names(Image(plane, "YXC", rgb=True)) == ("R", "G", "B")
    assert channel_names(Image(plane, "YXC")) == ("C0", "C1", "C2")
    same = Image(plane, "YXC", channel_names=("a", "a", "b"))
    assert channel_names(same) == ("C0", "C1", "C2")
    colours = run(np.ones((4, 4), np.int32), plane + np.array([1, 2, 3], np.uint8), axes="YXS")
    assert [colours[f"mean_{c}"][0] for c in "RGB"] == [1, 2, 3]


def test_fast_and_slow_columns_are_all_of_them():
    labels, image = small(), np.arange(180.0).reshape(12, 15)
    every = run(labels, image)
    fast, slow = (run(labels, image, speed=speed) for speed in ("fast", "slow"))
    assert not {"solidity", "feret_max_px", "median_C0", "ring_mean_C0"} & set(fast.columns)
    assert "area_px" not in slow.columns
    joined = fast.joined(slow)
    assert set(joined.columns) == set(every.columns)
    for name, column in every.columns.items():
        np.testing.assert_array_equal(joined[name], column)
    with pytest.raises(DataError, match="measure again"):
        fast.joined(run(labels[:8], image[:8], speed="slow"))


def test_portions_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 40, (12, 12)), np.ones((3, 3), int)).astype(np.int32)
    image = rng.integers(0, 255, labels.shape).astype(np.uint8)
    whole = run(labels, image)
    monkeypatch.setattr("napari_cellseg.core.measure.objects._PORTION", 50)
    steps = []
    parts = api.measure(labels, image, progress=steps.append)
    assert len(steps) > 10
    assert all(step.done <= step.total for step in steps)
    for name, column in whole.columns.items():
        np.testing.assert_array_equal(parts[name], column)


def test_it_can_be_cancelled_between_portions():
    run = measure(Labels(small(), "YX"))
    assert next(run).stage == "Measuring"
    assert next(run).total == 3
    run.close()


def test_pixel_sizes_of_labels_image_and_hand():
    labels = Labels(small(), "YX", (0.5, 0.5))
    image = Image(small(), "YX", (1.0, 1.0))
    found = api.measure(labels, image, kinds=("shape",))
    assert found["area_um2"][0] == 15 / 4
    assert "that of the labels was taken" in found.notes[0]
    found = api.measure(labels, image, pixel_size=(2.0, 3.0), kinds=("shape",))
    assert found["area_um2"][0] == 90
    assert not found.notes
    with pytest.raises(DataError, match="impossible"):
        api.measure(labels, pixel_size=(0.0, 1.0))


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="differ in size"):
        run(small(), np.zeros((12, 14)))
    with pytest.raises(DataError, match="below 0"):
        finish(measure(Labels(-small(), "YX")))
    with pytest.raises(SettingsError, match="neighbour_distance"):
        run(small(), neighbor_distance=3)


def test_decisions_are_columns():
    states = {
        "id": [4, BIG],
        "decision": ["edited", "accepted"],
        "locked": [True, True],
        "class": ["big", ""],
    }
    told = Decisions.of_provenance({"corrections": {"states": states}})
    known = Decisions({4: 0.5}, {9: 0.25}, told.classes, told.locked, told.edited, told.accepted)
    found = finish(measure(Labels(small(), "YX"), decisions=known))
    np.testing.assert_array_equal(found["score"], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(found["margin"], [np.nan, 0.25, np.nan])
    assert found["class"].tolist() == ["big", "", ""]
    assert found["locked"].tolist() == [True, False, True]
    assert found["edited"].tolist() == [True, False, False]
    assert found["accepted"].tolist() == [False, False, True]
    for damaged in ({}, {"corrections": 3}, {"corrections": {"states": {"id": [1]}}}):
        assert Decisions.of_provenance(damaged) == Decisions()


def test_files_hold_the_same_numbers(tmp_path):
    found = run(small(), np.arange(180.0).reshape(12, 15) / 7).named("café, 1", "g")
    path = tmp_path / "table.csv"
    save_table(found, path, {"made": "now"})
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == ["café, 1"] * 3
    for name in found.numeric():
        if found[name].dtype != bool:
            read = [float(row[name] or "nan") for row in rows]
            np.testing.assert_array_equal(read, found[name])
    assert [row["touches_edge"] for row in rows] == ["False", "True", "False"]
    about = json.loads((tmp_path / "table.csv.json").read_text("utf-8"))
    assert about["columns"]["area_px"]["unit"] == "px"
    assert about["images"][0]["objects"] == 3
    assert about["made"] == "now"
    with pytest.raises(OutputError, match=r"\.csv or \.parquet"):
        save_columns(found.columns, tmp_path / "table.xls")


def test_parquet_keeps_types(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = run(small()).named("a")
    save_columns(found.columns, tmp_path / "table.parquet")
    read = parquet.read_table(tmp_path / "table.parquet")
    assert read.column_names == list(found.columns)
    assert read["area_px"].to_pylist() == [15, 10, 1]
    assert read["touches_edge"].to_pylist() == [False, True, False]
    assert read["orientation_deg"].to_pylist()[2] is None


def test_parquet_without_pyarrow_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_cellseg.core.measure.saving.find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"napari-cellseg\[parquet\]"):
        save_columns(run(small()).columns, tmp_path / "table.parquet")


def test_summaries_of_images_and_groups():
    one = api.measure(small(), pixel_size=(1.0, 1.0)).named("a", "x")
    two = api.measure(2 * np.eye(4, dtype=np.int32), pixel_size=(0.5, 0.5)).named("b", "x")
    none = api.measure(np.zeros((3, 3), np.int32)).named("c", "y")
    table = stacked([one, two, none])
    assert len(table) == 4
    by_image = summarize(table)
    assert by_image["image"].tolist() == ["a", "b", "c"]
    assert by_image["objects"].tolist() == [3, 1, 0]
    assert by_image["covered"].tolist() == [26 / 180, 1 / 4, 0]
    np.testing.assert_allclose(by_image["area_px_mean"], [26 / 3, 4, np.nan])
    np.testing.assert_allclose(
        by_image["area_px_std"], [np.std([15, 10, 1], ddof=1), np.nan, np.nan]
    )
    np.testing.assert_allclose(by_image["area_px_median"], [10, 4, np.nan])
    np.testing.assert_allclose(by_image["touches_edge_mean"], [1 / 3, 1, np.nan])
    assert by_image["objects_per_mm2"][0] == pytest.approx(3 / (180 / 1e6))
    by_group = summarize(table, "group")
    assert by_group["group"].tolist() == ["x", "y"]
    assert by_group["images"].tolist() == [2, 1]
    assert by_group["area_px_mean"][0] == 30 / 4
    assert np.isnan(by_group["objects_per_mm2"][1])
    everything = summarize(table, "all")
    assert everything["objects"].tolist() == [4]
    assert not [name for name in everything if name.startswith(("centroid", "bbox"))]


def test_tables_with_other_columns_are_filled_up():
    one = finish(measure(Labels(small(), "YX"), decisions=Decisions(classes={4: "big"})))
    two = run(small(), np.ones((12, 15)), pixel_size=(1.0, 1.0))
    table = stacked([one, two])
    assert len(table) == 6
    assert table["class"].tolist() == ["big", "", "", "", "", ""]
    assert np.isnan(table["area_um2"][:3]).all()
    assert table["area_um2"][3:].tolist() == [15, 10, 1]
    assert table["area_px"].dtype == np.int64


def test_settings_can_be_saved():
    settings = MeasureSettings(kinds=("shape",), neighbour_distance=3)
    assert MeasureSettings.parse(json.loads(settings.model_dump_json())) == settings


def test_the_page_explains_every_column():
    page = Path(__file__).parents[3] / "docs" / "measure.md"
    text = page.read_text("utf-8")
    every = [*DEFINITIONS, *PER_CHANNEL]
    assert [name for name in every if f"`{name}" not in text] == []
