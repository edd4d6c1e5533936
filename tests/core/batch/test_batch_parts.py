"""What a batch is made of: inputs, names, queue, tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.batch import queue as queue_module
from napari_cellseg.core.batch.inputs import BatchInput, find_inputs, named, read_list
from napari_cellseg.core.batch.names import result_names
from napari_cellseg.core.batch.queue import Queue, State
from napari_cellseg.core.batch.tables import join_tables, write_columns, write_rows
from napari_cellseg.core.errors import DataError, ImageError


def test_a_file_of_several_images_gives_each_and_thumbnails_are_left_out(tmp_path):
    path = tmp_path / "many.tif"
    planes = [np.full((40, 50 + n), n, np.uint8) for n in range(3)]
    with tifffile.TiffWriter(path) as writer:
        for plane in (*planes, np.zeros((4, 5), np.uint8)):
            writer.write(plane)
    tifffile.imwrite(tmp_path / "many_1.tif", planes[0])
    found = find_inputs([path, tmp_path / "many_1.tif"])
    assert [one.name for one in found] == ["many_0", "many_1", "many_2", "many_1_2"]
    for one, plane in zip(found, planes, strict=False):
        np.testing.assert_array_equal(one.load().data, plane)
    assert [one.title for one in found[2:]] == ["many.tif #2", "many_1.tif"]
    assert len({one.key for one in found}) == 4
    (only,) = find_inputs([path], series=1)
    assert only.load().shape == (40, 51)


def ome_parts(folder):
    """Write a time series of two frames, a file each, as some microscopes do."""
    places = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="part_{t}.ome.tif">urn:uuid:{t:032}</UUID></TiffData>'
        for t in range(2)
    )
    for t in range(2):
        text = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{t:032}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint8" SizeX="30" SizeY="20" SizeZ="1" SizeC="1" '
            f'SizeT="2"><Channel ID="Channel:0:0"/>{places}</Pixels></Image></OME>'
        )
        plane = np.full((20, 30), 5 + t, np.uint8)
        tifffile.imwrite(folder / f"part_{t}.ome.tif", plane, description=text, metadata=None)


def test_an_image_divided_among_files_is_done_once(tmp_path):
    ome_parts(tmp_path)
    tifffile.imwrite(tmp_path / "other.ome.tif", np.ones((20, 30), np.uint8))
    found = find_inputs([tmp_path])
    assert [one.title for one in found] == ["other.ome.tif", "part_0.ome.tif"]
    image = found[1].load()
    assert image.axes == "TYX"
    assert np.asarray(image.data)[:, 0, 0].tolist() == [5, 6]
    (alone,) = find_inputs([tmp_path / "part_1.ome.tif"])
    assert alone.load().shape == (2, 20, 30)


def test_parts_that_only_name_the_main_file_are_left_out_beside_it(tmp_path):
    text = '<OME xmlns="x"><BinaryOnly MetadataFile="main.ome.tif" UUID="urn:uuid:1"/></OME>'
    plane = np.ones((20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "rest.ome.tif", plane, description=text, metadata=None)
    (alone,) = find_inputs([tmp_path])
    assert alone.title == "rest.ome.tif"
    tifffile.imwrite(tmp_path / "main.ome.tif", plane)
    assert [one.title for one in find_inputs([tmp_path])] == ["main.ome.tif"]


def test_planes_in_a_missing_file_are_not_black(tmp_path):
    ome_parts(tmp_path)
    (tmp_path / "part_0.ome.tif").unlink()
    (one,) = find_inputs([tmp_path])
    with pytest.raises(ImageError, match=r"'part_0\.ome\.tif', which is missing"):
        one.load()


def test_a_damaged_file_is_an_input_like_others(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"II*\0" + b"\1" * 40)
    (one,) = find_inputs([tmp_path])
    with pytest.raises(ImageError):
        one.load()
    assert BatchInput("gone", tmp_path / "gone.tif").state() == ""


@given(st.lists(st.sampled_from("ab"), max_size=6), st.data())
@settings(max_examples=60)
def test_names_never_meet(folders, data):
    files = st.sampled_from(["x.tif", "X.tif", "x.png", "x_2.tif", "a_x.tif", "x.ome.tif"])
    paths = list(dict.fromkeys(Path(folder) / data.draw(files) for folder in folders))
    names = list(result_names(paths).values())
    assert len({name.casefold() for name in names}) == len(paths)


def test_inputs_gathered_one_by_one_are_named_as_if_found_together(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        with tifffile.TiffWriter(tmp_path / folder / "x.tif") as writer:
            for n in range(2):
                writer.write(np.zeros((40, 50 + n), np.uint8))
    tifffile.imwrite(tmp_path / "a" / "y.tif", np.zeros((4, 5), np.uint8))
    found = find_inputs([tmp_path / "a", tmp_path / "b"])
    one_by_one = [*find_inputs([tmp_path / "a"]), *find_inputs([tmp_path / "b"])]
    layers = [BatchInput("y"), BatchInput("GFP: 1/2")]
    names = [one.name for one in named([layers[0], *one_by_one, layers[1]])]
    assert names == ["y_2", *(one.name for one in found), "GFP_ 1_2"]
    assert names[1] == "a_x_0"


def test_a_list_of_paths(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("# images\na.tif\n\n  b c.tif\n/d/e.tif\n", "utf-8")
    assert read_list(path) == [tmp_path / "a.tif", tmp_path / "b c.tif", Path("/d/e.tif")]
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="names no image"):
        read_list(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_list(tmp_path / "absent.txt")


def test_the_time_left_goes_by_the_size_of_the_files(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(queue_module.time, "monotonic", lambda: now[0])
    for name, size in (("a", 10), ("b", 30), ("c", 60), ("d", 500)):
        (tmp_path / name).write_bytes(b"x" * size)
    queue = Queue([BatchInput(name, tmp_path / name) for name in "abcd"])
    assert queue.seconds_left() is None
    queue.settle(3, State.SKIPPED)
    assert queue.start(0)
    now[0] += 2
    assert queue.seconds_left() is None
    queue.settle(0, State.DONE)
    assert queue.seconds_left() == pytest.approx(18)
    queue.start(1)
    now[0] += 2
    queue.settle(1, State.FAILED)
    assert queue.seconds_left() == pytest.approx(6)
    queue.cancel(2)
    assert queue.seconds_left() == 0
    assert queue.counts() == {
        State.WAITING: 0, State.RUNNING: 0, State.DONE: 1, State.SKIPPED: 2, State.FAILED: 1,
    }  # fmt: skip
    assert queue.settled == 4
    assert not queue.start(2)


def test_an_image_that_runs_tells_how_far_it_is(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(queue_module.time, "monotonic", lambda: now[0])
    (tmp_path / "a").write_bytes(b"x" * 50)
    (tmp_path / "b").write_bytes(b"x" * 150)
    queue = Queue([BatchInput(name, tmp_path / name) for name in "ab"])
    queue.start(0)
    queue.report(0, 0.5)
    now[0] += 3
    assert queue.items[0].share == 0.5
    assert queue.seconds_left() == pytest.approx(21)
    queue.settle(0, State.DONE)
    assert queue.seconds_left() == pytest.approx(9)
    queue.start(1)
    queue.cancel(1, "Enough.")
    assert (queue.is_cancelled(1), queue.reason(1)) == (True, "Enough.")


def test_tables_below_each_other(tmp_path):
    one, two, none = (tmp_path / f"{n}.csv" for n in ("one", "two", "none"))
    write_columns(one, {"image": np.array(["a, b"]), "area": np.array([1.5]), "ä": np.array([3])})
    write_columns(two, {"image": np.array(['"x"']), "z": np.array([7]), "area": np.array([np.nan])})
    write_columns(none, {"image": np.array([], str), "w": np.zeros(0)})
    join_tables(tmp_path / "all.csv", [one, none, two])
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["image", "area", "ä", "w", "z"],
            ["a, b", "1.5", "3", "", ""],
            ['"x"', "", "", "", "7"],
        ]
    two.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        join_tables(tmp_path / "all.csv", [one, two])
    assert (tmp_path / "all.csv").read_text("utf-8").count("\n") == 3


def test_what_cannot_be_told_is_an_empty_cell(tmp_path):
    write_rows(tmp_path / "t.csv", ["a", "b", "c"], [[None, float("inf"), 0]])
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n,,0\n"
