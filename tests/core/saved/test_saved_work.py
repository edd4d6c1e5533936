"""Saved work opens again bit for bit; what is damaged, newer or dishonest is refused in words."""

from __future__ import annotations

import json
import struct
import zipfile

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core import files
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError, ImageError, OutputError
from napari_cellseg.core.inference import prediction as prediction_module
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.reading import read_image
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.saved.image import find_image, pixels_sha256, reference_of
from napari_cellseg.core.saved.opening import read_work
from napari_cellseg.core.saved.work import SavedWork
from napari_cellseg.core.saved.writing import write_work

RNG = np.random.default_rng(0)
TOLD = {"model": "m", "axes": "ZYX", "corrections": {"shape": [2, 5, 7], "erased": "abc"}}


def labels_of(data, axes="ZYX", **options):
    return Labels(np.asarray(data, np.int32), axes, **options)


def work_of(**changes):
    shape = (2, 5, 7)
    maps = {name: RNG.integers(0, 256, shape, np.uint8) for name in ("foreground", "contour")}
    known = {
        "labels": labels_of(
            RNG.integers(0, 2**31 - 1, shape), pixel_size=(0.1, 0.3), z_step=1 / 3, provenance=TOLD
        ),
        "recipe": Recipe(model="m").with_setting("post.min_area", 17),
        "prediction": Prediction(
            maps, "ZYX", 0.7, "cpu", ("halved",), classes={"Äh/b": maps["contour"]}
        ),
        "mask": RNG.random((5, 7)) > 0.5,
        "box": (("Y", 3, 8), ("X", 0, 7)),
        "history": ({"name": "Split", "objects": [3, 4]},),
        "view": {"labels": {"scale": [0.1, 0.3]}},
    }
    return SavedWork(**{**known, **changes})


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "wörk.cellseg"
    write_work(path, work_of())
    return path


def rewritten(path, change=lambda told: None, files=lambda members: None):
    """Change session.json or the files of a saved work, as a person or a program could."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(members["session.json"])
    change(told)
    members["session.json"] = json.dumps(told).encode()
    files(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_everything_comes_back_bit_for_bit(tmp_path):
    work = work_of()
    path = tmp_path / "w.cellseg"
    write_work(path, work)
    back = read_work(path)
    np.testing.assert_array_equal(back.labels.data, work.labels.data)
    assert back.labels.data.dtype == np.int32
    for name in ("axes", "pixel_size", "z_step", "name", "provenance"):
        assert getattr(back.labels, name) == getattr(work.labels, name)
    for maps in ("maps", "classes"):
        found, wanted = getattr(back.prediction, maps), getattr(work.prediction, maps)
        assert list(found) == list(wanted)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
    assert back.prediction.scale == 0.7
    assert back.prediction.steps == ("halved",)
    np.testing.assert_array_equal(back.mask, work.mask)
    assert back.recipe == work.recipe
    assert (back.box, back.history, back.view) == (work.box, work.history, work.view)
    assert back.image is None


@given(
    hnp.arrays(
        np.int32,
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
        elements=st.integers(0, 2**31 - 1),
    )
)
@settings(max_examples=40)
def test_labels_of_any_shape_come_back(tmp_path, data):
    path = tmp_path / "any.cellseg"
    axes = {2: "YX", 3: "TYX", 4: "TZYX"}[data.ndim]
    write_work(path, SavedWork(labels_of(data, axes)))
    back = read_work(path)
    np.testing.assert_array_equal(back.labels.data, data)
    assert back.labels.axes == axes
    assert back.prediction is None
    assert back.recipe is None


def test_candidates_of_a_detector_come_back(tmp_path):
    some = Instances((5, 7), np.float32([[0, 0, 2, 2], [1, 1, 4, 4]]), np.float32([0.9, 1 / 3]),
                     RNG.integers(0, 256, (2, 4, 4), np.uint8))  # fmt: skip
    none = Instances((5, 7), np.zeros((0, 4), np.float32), np.zeros(0, np.float32),
                     np.zeros((0, 4, 4), np.uint8))  # fmt: skip
    prediction = Prediction({}, "ZYX", instances={(0,): some, (1,): none})
    path = tmp_path / "d.cellseg"
    write_work(path, work_of(prediction=prediction))
    back = read_work(path).prediction
    assert list(back.instances) == [(0,), (1,)]
    for name in ("boxes", "scores", "masks"):
        np.testing.assert_array_equal(getattr(back.instances[0,], name), getattr(some, name))
    assert len(back.instances[1,]) == 0
    assert back.shape == (2, 5, 7)


def test_large_maps_are_read_into_a_temporary_file(saved, monkeypatch):
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 10)
    found = read_work(saved).prediction.maps["foreground"]
    assert isinstance(found, np.memmap)


def test_a_map_on_disk_and_other_byte_orders_are_written(tmp_path):
    labels = labels_of(np.asfortranarray(np.arange(35).reshape(5, 7)), "YX")
    write_work(tmp_path / "w.cellseg", SavedWork(labels, mask=np.ones((7, 5), bool).T))
    np.testing.assert_array_equal(read_work(tmp_path / "w.cellseg").labels.data, labels.data)


def test_arrays_open_in_numpy_alone(saved):
    with zipfile.ZipFile(saved) as archive, archive.open("labels.npy") as stream:
        assert np.load(stream).shape == (2, 5, 7)


def test_a_failed_save_leaves_the_earlier_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_work(saved, work_of())
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_what_json_cannot_hold_is_refused_before_writing(tmp_path):
    with pytest.raises(OutputError, match="metadata"):
        write_work(tmp_path / "w.cellseg", work_of(view={"size": float("nan")}))
    assert not list(tmp_path.iterdir())


class TestRefused:
    def test_a_missing_file(self, tmp_path):
        with pytest.raises(DataError, match="no file"):
            read_work(tmp_path / "w.cellseg")

    @pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04" + b"x" * 80])
    def test_something_else(self, tmp_path, content):
        path = tmp_path / "w.cellseg"
        path.write_bytes(content)
        with pytest.raises(DataError, match="no saved work"):
            read_work(path)

    def test_another_zip(self, tmp_path):
        path = tmp_path / "w.cellseg"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "a")
        with pytest.raises(DataError, match=r"holds no session\.json"):
            read_work(path)

    def test_a_cut_off_file_and_every_kind_of_damage(self, saved):
        whole = saved.read_bytes()
        for stop in range(0, len(whole), 97):
            saved.write_bytes(whole[:stop])
            with pytest.raises(DataError):
                read_work(saved)
        original = read_work_of(saved, whole)
        for at in range(0, len(whole), 41):
            broken = bytearray(whole)
            broken[at] ^= 0x5A
            saved.write_bytes(broken)
            try:
                back = read_work(saved)
            except DataError:
                continue
            np.testing.assert_array_equal(back.labels.data, original.labels.data)

    def test_a_newer_version(self, saved):
        rewritten(saved, lambda told: told.update(schema_version=2, version="9.9", more={}))
        with pytest.raises(DataError, match=r"newer version .*9\.9.*update"):
            read_work(saved)

    @pytest.mark.parametrize(
        "change",
        [
            lambda told: told.pop("labels"),
            lambda told: told.update(surprise=1),
            lambda told: told["arrays"].pop("labels.npy"),
            lambda told: told["prediction"]["maps"].update(foreground="labels.npy"),
            lambda told: told["prediction"].update(maps={}),
            lambda told: told["prediction"]["maps"].update(foreground="../x.npy"),
            lambda told: told["labels"].update(axes="TZYX"),
            lambda told: told.update(mask="labels.npy"),
            lambda told: told["arrays"]["labels.npy"].update(dtype="|O"),
        ],
    )
    def test_contradictions(self, saved, change):
        rewritten(saved, change)
        with pytest.raises(DataError):
            read_work(saved)

    def test_a_bomb_by_its_sizes(self, saved):
        def claim(told):
            told["arrays"]["labels.npy"]["shape"] = [2**20, 2**20, 2**10]

        rewritten(saved, claim)
        with pytest.raises(DataError, match="wrong size"):
            read_work(saved)

    def test_more_than_the_memory(self, saved, monkeypatch):
        class Little:
            total = 100

        monkeypatch.setattr("psutil.virtual_memory", Little)
        with pytest.raises(DataError, match="larger one"):
            read_work(saved)

    def test_arrays_that_are_pickled(self, saved):
        def pickled(members):
            body = members["labels.npy"]
            members["labels.npy"] = body.replace(b"'<i4'", b"'|O' ")

        rewritten(saved, files=pickled)
        with pytest.raises(DataError):
            read_work(saved)

    @pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a\\b.txt", "c:evil"])
    def test_paths_that_escape(self, saved, name):
        with zipfile.ZipFile(saved, "a") as archive:
            info = zipfile.ZipInfo(name)
            info.filename = info.orig_filename = name
            archive.writestr(info, b"x")
        with pytest.raises(DataError, match="outside"):
            read_work(saved)

    def test_links_and_twins(self, saved):
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        before = saved.read_bytes()
        with zipfile.ZipFile(saved, "a") as archive:
            archive.writestr(link, b"/etc/passwd")
        with pytest.raises(DataError, match="link"):
            read_work(saved)
        saved.write_bytes(before)
        with zipfile.ZipFile(saved, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("labels.npy", b"x")
        with pytest.raises(DataError, match="twice"):
            read_work(saved)

    def test_a_file_with_a_password(self, saved):
        content = bytearray(saved.read_bytes())
        at = content.index(b"PK\x01\x02")
        (flags,) = struct.unpack_from("<H", content, at + 8)
        struct.pack_into("<H", content, at + 8, flags | 1)
        saved.write_bytes(content)
        with pytest.raises(DataError, match="no saved work"):
            read_work(saved)


def read_work_of(path, content):
    path.write_bytes(content)
    return read_work(path)


class TestImage:
    @pytest.fixture
    def field(self, tmp_path):
        folder = tmp_path / "images"
        folder.mkdir()
        path = folder / "field.tif"
        tifffile.imwrite(
            path, RNG.integers(0, 4000, (2, 20, 30), np.uint16), metadata={"axes": "CYX"}
        )
        return path

    def test_it_is_found_where_it_was(self, field, tmp_path):
        image = read_image(field)
        found = find_image(reference_of(image), tmp_path / "w.cellseg")
        np.testing.assert_array_equal(found.data, image.data)
        assert found.axes == "CYX"
        assert found.source == field

    def test_it_is_found_beside_the_work_and_where_it_is_said_to_be(self, field, tmp_path):
        reference = reference_of(read_image(field))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        moved = field.rename(elsewhere / "field.tif")
        with pytest.raises(ImageError, match=r"neither at .* nor beside"):
            find_image(reference, tmp_path / "w.cellseg")
        assert find_image(reference, elsewhere / "w.cellseg").source == moved
        assert find_image(reference, tmp_path / "w.cellseg", elsewhere).source == moved
        renamed = moved.rename(elsewhere / "other.tif")
        assert find_image(reference, tmp_path / "w.cellseg", renamed).source == renamed
        with pytest.raises(ImageError, match="another place"):
            find_image(reference, tmp_path / "w.cellseg", tmp_path)

    def test_folders_that_move_together_still_find_each_other(self, field, tmp_path):
        work = tmp_path / "w.cellseg"
        write_work(work, work_of(image=reference_of(read_image(field))))
        house = tmp_path / "house"
        house.mkdir()
        (tmp_path / "images").rename(house / "images")
        work = work.rename(house / "w.cellseg")
        assert find_image(read_work(work).image, work).source == house / "images" / "field.tif"

    def test_another_image_of_that_name_is_refused(self, field, tmp_path):
        image = read_image(field)
        reference = reference_of(image)
        changed = np.array(image.data)
        changed[0, 0, 0] ^= 1
        tifffile.imwrite(field, changed, metadata={"axes": "CYX"})
        with pytest.raises(ImageError, match="other pixels"):
            find_image(reference, tmp_path / "w.cellseg")

    def test_a_damaged_file_is_told_as_such(self, field, tmp_path):
        reference = reference_of(read_image(field))
        field.write_bytes(field.read_bytes()[:60])
        with pytest.raises(ImageError, match="damaged"):
            find_image(reference, tmp_path / "w.cellseg")

    def test_the_second_of_several_images_of_a_file(self, tmp_path):
        path = tmp_path / "two.tif"
        first, second = RNG.integers(0, 255, (2, 20, 30), np.uint8)
        with tifffile.TiffWriter(path) as writer:
            writer.write(first)
            writer.write(second)
        reference = reference_of(Image(second, "YX", source=path))
        np.testing.assert_array_equal(find_image(reference, path).data, second)

    def test_the_hash_depends_on_pixels_not_on_their_order_in_memory(self):
        data = RNG.integers(0, 4000, (3, 4, 5), np.uint16)
        one = pixels_sha256(Image(data, "CYX"))
        assert one == pixels_sha256(Image(data.transpose(1, 2, 0), "YXC"))
        assert one == pixels_sha256(Image(data.astype(">u2"), "CYX"))
        assert one == pixels_sha256(Image(data[np.newaxis], "TCYX"))
        assert one != pixels_sha256(Image(data, "ZYX"))
        assert one != pixels_sha256(Image(data.astype(np.int32), "CYX"))

    def test_an_image_without_a_file_lies_in_the_work(self, tmp_path):
        image = Image(RNG.random((4, 6)).astype(np.float32), "YX", (0.5, 0.5), name="made")
        work = work_of(image=reference_of(image), pixels=image)
        write_work(tmp_path / "w.cellseg", work)
        back = read_work(tmp_path / "w.cellseg")
        np.testing.assert_array_equal(back.pixels.data, image.data)
        assert (back.pixels.name, back.pixels.pixel_size) == ("made", (0.5, 0.5))
        with pytest.raises(ImageError, match="never had a file"):
            find_image(back.image, tmp_path / "w.cellseg")
