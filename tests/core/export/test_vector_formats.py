"""Polygons and regions say what QuPath, ImageJ and cellpose expect, and theirs are read."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
import roifile

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.export import geojson, imagej_roi, outlines_text

BLANK = Image(np.zeros((24, 40)), "YX", name="blank")


class TestGeoJson:
    @pytest.fixture
    def features(self, tmp_path, labels, table):
        geojson.GeoJson().write(labels, tmp_path / "a.geojson", None, table)
        content = json.loads((tmp_path / "a.geojson").read_text())
        assert content["type"] == "FeatureCollection"
        return {int(one["properties"]["name"]): one for one in content["features"]}

    def test_what_qupath_reads(self, features, labels):
        assert set(features) == set(np.unique(labels.data)[1:])
        ids = {uuid.UUID(one["id"]) for one in features.values()}
        assert len(ids) == len(features)
        assert features[4]["geometry"] == {
            "type": "Polygon",
            "coordinates": [[[39, 23], [40, 23], [40, 24], [39, 24], [39, 23]]],
        }
        assert len(features[3]["geometry"]["coordinates"]) == 2  # with a hole
        assert features[9]["geometry"]["type"] == "MultiPolygon"
        properties = features[3]["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] == "odd"
        assert properties["isLocked"] is True
        assert properties["measurements"]["orientation_deg"] == 1 / 3
        assert "orientation_deg" not in features[9]["properties"]["measurements"]  # not a number
        assert "isLocked" not in features[4]["properties"]

    def test_plane_in_a_stack(self, tmp_path, stack):
        geojson.GeoJson().write(stack, tmp_path / "a.geojson")
        features = json.loads((tmp_path / "a.geojson").read_text())["features"]
        planes = [one["geometry"]["plane"] for one in features]
        assert planes[0] == {"c": -1, "z": 0, "t": 0}
        assert planes[-1] == {"c": -1, "z": 2, "t": 1}

    def test_table_comes_back(self, tmp_path, labels, table):
        geojson.GeoJson().write(labels, tmp_path / "a.geojson", None, table)
        found = geojson.read(tmp_path / "a.geojson").table
        order = np.argsort(found["label"])
        for name, column in table.items():
            np.testing.assert_array_equal(np.asarray(found[name])[order], column)

    def test_what_qupath_wrote(self, tmp_path):
        square = [[0.2, 0.1], [3.9, 0.1], [3.9, 4.2], [0.2, 4.2], [0.2, 0.1]]
        shifted = [[x + 10, y] for x, y in square]
        features = [
            _feature(square, name="7", measurements=[{"name": "Area", "value": 2.5}]),
            _feature(shifted, name="7"),  # the same number once more in one plane
            _feature([[x, y + 10] for x, y in square], classification={"names": ["A", "B"]}),
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}},
        ]
        (tmp_path / "a.json").write_text(
            json.dumps({"type": "FeatureCollection", "features": features})
        )
        found = geojson.read(tmp_path / "a.json", BLANK)
        expected = np.zeros((24, 40), np.int32)
        expected[:4, :4], expected[:4, 10:14], expected[10:14, :4] = 7, 8, 9
        np.testing.assert_array_equal(found.labels.data, expected)
        assert list(found.table["class"]) == ["", "", "A: B"]
        assert found.table["Area"][0] == 2.5

    def test_plane_that_is_not_there(self, tmp_path):
        feature = _feature([[0, 0], [1, 0], [1, 1], [0, 0]])
        feature["geometry"]["plane"] = {"c": -1, "z": 5, "t": 0}
        (tmp_path / "a.geojson").write_text(json.dumps({"features": [feature]}))
        with pytest.raises(DataError, match="choose the image"):
            geojson.read(tmp_path / "a.geojson", Image(np.zeros((2, 9, 9)), "ZYX"))


def _feature(ring, **properties):
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


class TestImageJRoi:
    def test_as_its_wand_draws(self, tmp_path, labels, table):
        imagej_roi.ImageJRoi().write(labels, tmp_path / "a.zip", None, table)
        regions = {int(one.name): one for one in roifile.roiread(tmp_path / "a.zip")}
        assert set(regions) == set(np.unique(labels.data)[1:])
        assert regions[4].roitype == roifile.ROI_TYPE.TRACED
        corners = regions[4].coordinates().tolist()
        assert sorted(corners) == [[39, 23], [39, 24], [40, 23], [40, 24]]
        assert (regions[4].left, regions[4].top) == (39, 23)
        assert (regions[4].right, regions[4].bottom) == (40, 24)
        assert len(regions[3].coordinates(multi=True)) == 2
        assert regions[3].composite
        assert "class: odd" in regions[3].props

    def test_place_in_a_hyperstack(self, tmp_path, stack):
        imagej_roi.ImageJRoi().write(stack, tmp_path / "a.zip")
        regions = roifile.roiread(tmp_path / "a.zip")
        assert {(one.t_position, one.z_position) for one in regions} == {
            (t, z) for t in (1, 2) for z in (1, 2, 3)
        }
        assert all(one.position == 0 for one in regions)

    def test_place_in_a_stack(self, tmp_path, stack):
        slices = Labels(stack.data[0], "ZYX")
        imagej_roi.ImageJRoi().write(slices, tmp_path / "a.zip")
        regions = roifile.roiread(tmp_path / "a.zip")
        assert {one.position for one in regions} == {1, 2, 3}
        assert {one.z_position for one in regions} == {0}

    def test_far_from_the_origin(self, tmp_path):
        data = np.zeros((2, 70000), np.int32)
        data[0, 30000:32766], data[1, 32760:40000], data[0, 69990:] = 1, 2, 3
        imagej_roi.ImageJRoi().write(Labels(data, "YX"), tmp_path / "a.zip")
        np.testing.assert_array_equal(imagej_roi.read(tmp_path / "a.zip").labels.data, data)

    def test_what_imagej_wrote(self, tmp_path):
        polygon = roifile.ImagejRoi.frompoints([(1, 2), (5, 2), (5, 6), (1, 6)], name="0001-0002")
        box = roifile.ImagejRoi()
        box.roitype, box.name = roifile.ROI_TYPE.RECT, "20"
        box.left, box.top, box.right, box.bottom = 10, 10, 13, 12
        roifile.roiwrite(tmp_path / "a.zip", [polygon, box])
        data = imagej_roi.read(tmp_path / "a.zip", BLANK).labels.data
        expected = np.zeros((24, 40), np.int32)
        expected[2:6, 1:5], expected[10:12, 10:13] = 21, 20
        np.testing.assert_array_equal(data, expected)


class TestOutlinesText:
    def test_solid_objects_come_back_the_same(self, tmp_path, labels):
        data = labels.data.copy()
        data[4:7, 32:36] = 3
        data[data == 9] = 0
        solid = Labels(data, "YX", provenance=labels.provenance)
        outlines_text.OutlinesText().write(solid, tmp_path / "a_cp_outlines.txt")
        found = outlines_text.read(tmp_path / "a_cp_outlines.txt")
        for label in np.unique(data)[1:]:
            mine, theirs = data == label, found.labels.data == label
            assert (mine & theirs).sum() / (mine | theirs).sum() == 1
        assert found.labels.provenance == labels.provenance

    def test_lines_as_cellpose_writes_them(self, tmp_path):
        (tmp_path / "a.txt").write_text("1,1,1,2,1,3,2,3,3,3,3,2,3,1,2,1\n\n10,5,11,5,10,6\n")
        data = outlines_text.read(tmp_path / "a.txt", BLANK).labels.data
        expected = np.zeros((24, 40), np.int32)
        expected[1:4, 1:4] = 1
        expected[5, 10:12] = expected[6, 10] = 2
        np.testing.assert_array_equal(data, expected)

    def test_stacks_are_refused(self, tmp_path, stack):
        with pytest.raises(OutputError, match="one plane"):
            outlines_text.OutlinesText().write(stack, tmp_path / "a.txt")
