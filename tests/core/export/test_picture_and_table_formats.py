"""OME-Zarr, overlay, tables, and ImageJ's own TIFF."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.export import label_tiff, measurements, ome_zarr, overlay_png
from napari_cellseg.core.reading import read_labels


class TestOmeZarr:
    zarr = None

    @pytest.fixture(autouse=True)
    def needs_zarr(self):
        TestOmeZarr.zarr = pytest.importorskip("zarr")

    def test_follows_the_specification(self, tmp_path, stack):
        ome_zarr.OmeZarr().write(stack, tmp_path / "a.zarr")
        told = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]
        assert told["ome"]["version"] == "0.5"
        (multiscale,) = told["ome"]["multiscales"]
        assert [one["name"] for one in multiscale["axes"]] == list("tzyx")
        assert multiscale["axes"][3] == {"name": "x", "type": "space", "unit": "micrometer"}
        transforms = multiscale["datasets"][0]["coordinateTransformations"]
        assert transforms == [{"type": "scale", "scale": [1.0, 1.5, 0.25, 0.5]}]
        models = pytest.importorskip("ome_zarr_models.v05.image_label")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models.ImageLabel.from_zarr(self.zarr.open_group(tmp_path / "a.zarr", mode="r"))

    def test_smaller_copies(self, tmp_path):
        data = np.arange(300 * 1100, dtype=np.int32).reshape(300, 1100)
        ome_zarr.OmeZarr().write(Labels(data, "YX"), tmp_path / "a.zarr")
        group = self.zarr.open_group(tmp_path / "a.zarr", mode="r")
        assert [group[str(k)].shape for k in range(4)] == [
            (300, 1100),
            (150, 550),
            (75, 275),
            (38, 138),
        ]
        np.testing.assert_array_equal(group["2"][...], data[::4, ::4])
        assert group["0"].dtype == np.uint32

    def test_among_the_labels_of_an_image(self, tmp_path, labels):
        told = {"ome": {"version": "0.5", "multiscales": []}}
        image = self.zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3, attributes=told)
        image.create_group("labels")
        for name in ("cells", "nuclei", "cells"):
            ome_zarr.OmeZarr().write(labels, tmp_path / "i.zarr" / "labels" / name)
        assert image["labels"].attrs["ome"] == {"version": "0.5", "labels": ["cells", "nuclei"]}
        own = image["labels/cells"].attrs["ome"]["image-label"]
        assert own == {"source": {"image": "../../"}}
        with pytest.raises(DataError, match="labels/cells, labels/nuclei"):
            ome_zarr.read(tmp_path / "i.zarr")
        found = ome_zarr.read(tmp_path / "i.zarr" / "labels" / "nuclei")
        np.testing.assert_array_equal(found.labels.data, labels.data)

    @pytest.mark.parametrize("attributes", [{}, {"ome": {"version": "0.5"}}, None])
    def test_beside_a_group_that_is_no_image_they_are_alone(self, tmp_path, labels, attributes):
        if attributes is None:
            (tmp_path / "zarr.json").write_text("no json")
        else:  # such as napari-ome-zarr makes two folders above labels that it opens
            self.zarr.open_group(tmp_path, mode="w", zarr_format=3, attributes=attributes)
        (tmp_path / "labels").mkdir()
        ome_zarr.OmeZarr().write(labels, tmp_path / "labels" / "a.zarr")
        own = self.zarr.open_group(tmp_path / "labels" / "a.zarr", mode="r").attrs["ome"]
        assert own["image-label"] == {}
        assert not (tmp_path / "labels" / "zarr.json").exists()

    def test_labels_of_version_0_4(self, tmp_path):
        group = self.zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
        axes = [{"name": "c", "type": "channel"}] + [
            {"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"
        ]
        scale = [{"type": "scale", "scale": [1.0, 100.0, 200.0]}]
        datasets = [{"path": "0", "coordinateTransformations": scale}]
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
        group.attrs["image-label"] = {"version": "0.4"}
        group.create_array("0", data=np.uint8([[[0, 1], [2, 3]]]))
        found = ome_zarr.read(tmp_path / "a.zarr").labels
        np.testing.assert_array_equal(found.data, [[0, 1], [2, 3]])
        assert found.pixel_size == pytest.approx((0.1, 0.2))


class TestOverlay:
    LABELS = Labels(np.int32(np.kron([[0, 5], [6, 0]], np.ones((5, 5)))), "YX")

    def test_outlines_over_the_image(self, tmp_path):
        pixels = np.zeros((10, 10), np.uint16)
        pixels[:, 5:] = 40000
        params = overlay_png.OverlayParams(colours="yellow")
        image = Image(pixels, "YX")
        overlay_png.OverlayPng(params).write(self.LABELS, tmp_path / "a.png", image)
        shown = np.array(Picture.open(tmp_path / "a.png"))
        assert shown[2, 7].tolist() == [255, 255, 255]
        assert shown[7, 2].tolist() == [0, 0, 0]
        yellow = (shown == (255, 220, 0)).all(-1)
        assert yellow.sum() == 2 * (5 + 4)  # the rim of the image is no edge
        assert yellow[0:5, 5].all()

    def test_tint_and_provenance(self, tmp_path, labels):
        params = overlay_png.OverlayParams(fill=0.5)
        overlay_png.OverlayPng(params).write(labels, tmp_path / "a.png")
        picture = Picture.open(tmp_path / "a.png")
        told = json.loads(picture.text["napari-cellseg"])
        assert told["provenance"] == labels.provenance
        shown = np.array(picture).astype(int)
        np.testing.assert_array_equal(shown.any(-1), labels.data > 0)
        colours = {tuple(c) for c in shown[labels.data == 3].tolist()}
        assert len(colours) == 2  # edge, and half as bright inside
        bright, dark = sorted(colours, key=sum, reverse=True)
        assert np.allclose(np.array(bright) / 2, dark, atol=1)

    def test_colour_image_stays_as_it_is(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 255, (10, 10, 3), np.uint8)
        image = Image(pixels, "YXC", rgb=True)
        overlay_png.OverlayPng().write(self.LABELS, tmp_path / "a.png", image)
        shown = np.array(Picture.open(tmp_path / "a.png"))
        np.testing.assert_array_equal(shown[self.LABELS.data == 0], pixels[self.LABELS.data == 0])

    @pytest.mark.parametrize("settings", [{"z": 1}, {"channel": 2}])
    def test_what_is_not_there(self, tmp_path, settings):
        image = Image(np.zeros((2, 10, 10)), "CYX")
        exporter = overlay_png.OverlayPng(overlay_png.OverlayParams(**settings))
        with pytest.raises(OutputError, match="choose"):
            exporter.write(self.LABELS, tmp_path / "a.png", image)
        with pytest.raises(OutputError, match="belong"):
            overlay_png.OverlayPng().write(
                self.LABELS, tmp_path / "a.png", Image(np.zeros((9, 9)), "YX")
            )


class TestTables:
    def test_csv_comes_back(self, tmp_path, labels, table):
        measurements.MeasurementsCsv().write(labels, tmp_path / "a.csv", None, table)
        found = measurements.read_table(tmp_path / "a.csv")
        assert list(found) == list(table)
        for name, column in table.items():
            np.testing.assert_array_equal(found[name], column)
            assert found[name].dtype.kind == column.dtype.kind

    def test_parquet_keeps_types_and_provenance(self, tmp_path, labels, table):
        parquet = pytest.importorskip("pyarrow.parquet")
        measurements.MeasurementsParquet().write(labels, tmp_path / "a.parquet", None, table)
        found = parquet.read_table(tmp_path / "a.parquet")
        assert found.column("area_px").to_pylist() == table["area_px"].tolist()
        assert found.column("class").to_pylist() == table["class"].tolist()
        told = json.loads(found.schema.metadata[b"napari-cellseg"])
        assert told["provenance"] == labels.provenance

    def test_nothing_measured(self, tmp_path, labels):
        with pytest.raises(OutputError, match="measure the objects first"):
            measurements.MeasurementsCsv().write(labels, tmp_path / "a.csv")

    def test_no_table(self, tmp_path):
        for text in ("a,b\n1,2\n", "label,b\n1\n", ""):
            (tmp_path / "a.csv").write_text(text)
            with pytest.raises(DataError):
                measurements.read_table(tmp_path / "a.csv")


class TestImageJTiff:
    EXPORTER = label_tiff.LabelTiff(label_tiff.LabelTiffParams(dialect="imagej"))

    def test_stack_with_scale(self, tmp_path, stack):
        self.EXPORTER.write(stack, tmp_path / "a.tif")
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            assert file.is_imagej
            assert file.series[0].axes == "TZYX"
            told = file.imagej_metadata
            assert (told["frames"], told["slices"], told["spacing"], told["unit"]) == (
                *(2, 3, 1.5),
                "um",
            )
            assert file.pages.first.resolution == pytest.approx((2, 4))
        found = read_labels(tmp_path / "a.tif")
        np.testing.assert_array_equal(found.data, stack.data)
        assert found.pixel_size == pytest.approx((0.25, 0.5))
        assert found.z_step == 1.5
        assert found.provenance == stack.provenance

    def test_too_many_objects(self, tmp_path):
        with pytest.raises(OutputError, match="65535"):
            self.EXPORTER.write(Labels(np.int32([[65536]]), "YX"), tmp_path / "a.tif")
        assert list(tmp_path.iterdir()) == []
