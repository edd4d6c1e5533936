"""What every format must do: describe itself, be written whole or not at all, come back."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import CellsegError, DataError, OutputError
from napari_cellseg.core.export._frame import Frame
from napari_cellseg.core.export.registry import (
    EXPORTERS,
    IMPORTERS,
    exporter_for,
    importer_of,
)

NEEDS = {"ome-zarr": "zarr", "measurements-parquet": "pyarrow"}
READABLE = ("coco", "geojson", "imagej-roi", "kaggle", "label-tiff", "ome-zarr")
OUTSIDE = ("kaggle", "outlines-text", "measurements-csv")  # what they cannot tell lies beside them


def formats(names):
    missing = {name for name, package in NEEDS.items() if find_spec(package) is None}
    skip = pytest.mark.skip(reason="optional package missing")
    return [pytest.param(name, marks=[skip] if name in missing else []) for name in names]


def path_for(folder, name):
    return folder / f"file{EXPORTERS[name].suffix}"


def test_the_registry_finds_every_format():
    assert set(EXPORTERS.names()) == {
        *READABLE,
        *("measurements-csv", "measurements-parquet", "outlines-text", "overlay"),
    }
    assert len(IMPORTERS.names()) == len(READABLE) + 1


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_describes_itself(name):
    exporter = EXPORTERS[name]
    assert exporter.title
    assert exporter.suffix.startswith(".")
    for field in exporter.Params.model_fields.values():
        assert field.title
        assert field.description
    params = exporter.Params()
    assert exporter.Params.model_validate_json(params.model_dump_json()) == params


@pytest.mark.parametrize("name", formats(READABLE))
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX"])
def test_labels_come_back_the_same(tmp_path, name, axes, request):
    from_conftest = request.getfixturevalue("stack")
    index = {"YX": (0, 0), "ZYX": (0,), "TZYX": ()}[axes]
    z_step = 1.5 if "Z" in axes else None
    data = from_conftest.data[index]
    labels = Labels(data, axes, (0.25, 0.5), z_step, "cells", from_conftest.provenance)
    path = path_for(tmp_path, name)
    EXPORTERS[name]().write(labels, path)
    found = importer_of(path).read(path, None)
    np.testing.assert_array_equal(found.labels.data, data)
    assert found.labels.axes == axes
    assert found.labels.pixel_size == pytest.approx((0.25, 0.5))
    assert found.labels.z_step == z_step
    assert found.labels.provenance == labels.provenance
    assert found.overlap == 0


@pytest.mark.parametrize("name", formats(EXPORTERS.names()))
def test_nothing_is_left_of_a_file_that_could_not_be_written(
    tmp_path, name, labels, table, monkeypatch
):
    def fail(*arguments, **options):
        raise OSError(28, "no space left")

    path = path_for(tmp_path, name)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        patch.setattr(os, "replace", fail)  # of the folder, as no file of it is synced
        with pytest.raises(OutputError, match="disk is full"):
            EXPORTERS[name]().write(labels, path, None, table)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", formats(EXPORTERS.names()))
def test_labels_without_objects(tmp_path, name):
    labels = Labels(np.zeros((5, 6), np.int32), "YX")
    path = path_for(tmp_path, name)
    EXPORTERS[name]().write(labels, path, None, {"label": []})
    if name in READABLE:
        image = Image(np.zeros((5, 6)), "YX")
        np.testing.assert_array_equal(importer_of(path).read(path, image).labels.data, labels.data)


@pytest.mark.parametrize("name", formats(set(READABLE) - {"label-tiff"}))
def test_the_image_must_be_of_the_same_size(tmp_path, name, labels):
    path = path_for(tmp_path, name)
    EXPORTERS[name]().write(labels, path)
    with pytest.raises(DataError, match="choose the image"):
        importer_of(path).read(path, Image(np.zeros((5, 5)), "YX"))


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_lies_beside_is_ignored_once_the_file_is_another(tmp_path, name, labels, table):
    path = path_for(tmp_path, name)
    EXPORTERS[name]().write(labels, path, None, table)
    beside = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert beside["napari-cellseg"]["provenance"] == labels.provenance
    assert beside["napari-cellseg"]["edited"] == [3]
    assert beside["napari-cellseg"]["accepted"] == [9]
    if name == "measurements-csv":
        return
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DataError, match="give the image too"):
        importer_of(path).read(path, None)


@pytest.mark.parametrize("name", formats(["coco", "geojson", "imagej-roi", "kaggle"]))
def test_a_damaged_file_leads_to_a_sentence(tmp_path, name, labels):
    path = path_for(tmp_path, name)
    EXPORTERS[name]().write(labels, path)
    whole = path.read_bytes()
    for cut in (1, len(whole) // 3, len(whole) - 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(CellsegError) as error:
            importer_of(path).read(path, Image(np.zeros((24, 40)), "YX"))
        assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    "told",
    [
        {"axes": "YX", "shape": [24]},
        {"axes": "QX", "shape": [24, 40]},
        {"axes": "YX", "shape": [24, -40]},
        {"axes": "YX", "shape": [24, 40], "pixel_size_um": [0, 1]},
        "nonsense",
    ],
)
def test_damaged_words_about_the_image_are_refused(tmp_path, told):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"napari-cellseg": told, "features": []}))
    with pytest.raises(DataError):
        importer_of(path).read(path, None)


def test_format_by_the_ending(tmp_path):
    assert exporter_for(tmp_path / "a.GEOJSON") == "geojson"
    for wrong in ("a.csv", "a.xyz"):
        with pytest.raises(OutputError, match="name one of"):
            exporter_for(tmp_path / wrong)


def test_unknown_files_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="No objects can be read"):
        importer_of(tmp_path / "a.csv")
    with pytest.raises(DataError, match="There is no file"):
        importer_of(tmp_path / "b.csv")


def test_tables_of_no_objects_are_refused(tmp_path, labels):
    for table in ({"area": [1]}, {"label": [1, 2], "area": [1]}):
        with pytest.raises(DataError):
            EXPORTERS["geojson"]().write(labels, tmp_path / "a.geojson", None, table)


def test_frame_comes_back_from_its_text(labels):
    frame = Frame.of(labels)
    assert Frame.model_validate_json(frame.text()) == frame
    assert frame.text().isascii()
