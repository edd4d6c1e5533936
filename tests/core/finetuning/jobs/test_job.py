"""A job on disk: all comes back, nothing half-made stays, faults are said in words."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import (
    CellsegError,
    ChannelError,
    DataError,
    ModelError,
    OutputError,
    TrainingError,
)
from napari_cellseg.core.finetuning.jobs.job import Job, free_folder, jobs_folder, unfinished
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.material.split import Strip
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.reading import read_image
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import user_folder

from .._pictures import SHA, entry, grid, source

SETTINGS = FineTuneSettings(seed=3, minutes=0.5)
WEIGHTS = b"weights" * 100


def make(folder, sources=None, parent=None, name="child"):
    return Job.create(folder, name, parent or entry(), SETTINGS, sources or [source(grid())])


def install(name="parent", sha256=SHA, root=None):
    """Write a model's folder as far as a job looks at it."""
    folder = (root or user_folder()) / name
    folder.mkdir(parents=True, exist_ok=True)
    card = Card(name=name, architecture="unet", weights_sha256=sha256)
    (folder / "card.json").write_text(card.to_json())
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    return folder


def same(one, other):
    np.testing.assert_array_equal(one.image.data, other.image.data)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.labels.dtype == other.labels.dtype == np.int32
    assert (one.known is None) == (other.known is None)
    if one.known is not None:
        np.testing.assert_array_equal(one.known, other.known)
    for what in ("axes", "pixel_size", "channel_names", "rgb"):
        assert getattr(one.image, what) == getattr(other.image, what), what
    for what in ("name", "sha256", "classes", "channels", "objects", "area"):
        assert getattr(one, what) == getattr(other, what), what


class TestRoundTrip:
    @pytest.mark.parametrize(
        "dtype", ["bool", "u1", "<u2", ">u2", "i4", "u4", "i8", "u8", "f2", "f4", ">f8"]
    )
    @pytest.mark.parametrize("channels", [0, 1, 3])
    def test_of_every_type_of_pixel(self, tmp_path, dtype, channels):
        shape = (40, 50) + (channels,) * (channels > 0)
        data = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 200, shape)
        image = Image(data.astype(dtype), "YXC" if channels else "YX", (0.123456789, 7.5))
        one = Source("a", image, grid((40, 50)), channels=(0,))
        same(make(tmp_path / "job", [one]).sources()[0], one)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (6, 6)])
    @pytest.mark.parametrize("rgb", [False, True])
    def test_of_images_smaller_than_a_patch(self, tmp_path, shape, rgb):
        data = np.arange(np.prod(shape) * 3, dtype=np.uint8).reshape(*shape, 3)
        image = Image(data, "YXC", rgb=True) if rgb else Image(data[..., 0], "YX")
        one = Source("a", image, np.ones(shape, np.int32))
        same(make(tmp_path / "job", [one]).sources()[0], one)

    def test_of_all_there_is_to_know(self, tmp_path):
        labels, known = grid(), np.zeros((96, 128), bool)
        known[:50] = True
        image = Image(
            np.random.default_rng(1).integers(0, 99, (96, 128, 2)).astype(np.uint16),
            "YXC",
            (0.5, 0.25),
            channel_names=("DAPI", "Zellkörper µ"),
        )
        one = Source("a", image, labels, known, {1: "tumour", 9: "β"}, (1,))
        job = Job.load(make(tmp_path / "job", [one]).folder)
        same(job.sources()[0], one)
        assert (job.name, job.parent_name, job.settings) == ("child", "parent", SETTINGS)
        assert isinstance(job.splits[one.sha256], Strip)

    def test_names_may_be_equal_and_of_any_script(self, tmp_path):
        names = ["細胞/1", "細胞/1", "..", "CON", "a" * 300, "A", "\n\0"]
        sources = [source(grid(), n, name=name) for n, name in enumerate(names)]
        job = Job.load(make(tmp_path / "job", sources).folder)
        assert [one.name for one in job.sources()] == names
        assert [one.sha256 for one in job.sources()] == [one.sha256 for one in sources]
        assert set(job.splits.values()) == {"train", "validation"}

    def test_other_programs_can_open_the_pictures(self, tmp_path):
        colour = np.random.default_rng(2).integers(0, 255, (40, 50, 3)).astype(np.uint8)
        image = Image(colour, "YXC", (0.5, 0.25), rgb=True)
        known = np.eye(40, 50, dtype=bool)
        job = make(tmp_path / "job", [Source("a", image, grid((40, 50)), known)])
        opened = read_image(job.folder / "images" / "0000.tif")
        assert opened.rgb
        assert opened.pixel_size == pytest.approx((0.5, 0.25))
        np.testing.assert_array_equal(opened.data, colour)
        np.testing.assert_array_equal(tifffile.imread(job.folder / "known" / "0000.tif") > 0, known)

    def test_the_card_of_the_child_notes_all_splits(self, tmp_path):
        one = source(grid())
        job = make(tmp_path / "job", [one])
        earlier = {"name": "old", "sha256": "0" * 64, "split": "train"}
        card = entry(recipe={"finetuning": {"sources": [earlier]}}).card
        assert job.record(card)[0] == earlier
        noted = card.replace(recipe={"finetuning": {"sources": job.record(card)}})
        parent = entry(recipe=noted.recipe)
        later = make(tmp_path / "later", [one, source(grid(), 5)], parent)
        assert later.splits[one.sha256] == job.splits[one.sha256]


class TestRefused:
    @pytest.mark.parametrize("name", ["", " a", "a/b", "..", ".x", "a\n", "x" * 101])
    def test_names_that_no_model_can_have(self, tmp_path, name):
        with pytest.raises(DataError, match="is no name for a model"):
            make(tmp_path / "job", name=name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("sources", [[], [source(np.zeros((9, 9), np.int32))]])
    def test_no_object_at_all(self, tmp_path, sources):
        with pytest.raises(DataError, match="no reviewed object to learn from: accept or correct"):
            Job.create(tmp_path / "job", "child", entry(), SETTINGS, sources)
        assert not list(tmp_path.iterdir())

    def test_mixed_channels(self, tmp_path):
        sources = [source(grid()), source(grid(), 1, channels=2, name="b")]
        with pytest.raises(ChannelError, match=r"'b' gives 2 channel.s., but the model 'parent'"):
            make(tmp_path / "job", sources)
        assert not list(tmp_path.iterdir())

    def test_an_existing_folder(self, tmp_path):
        (tmp_path / "job").mkdir()
        with pytest.raises(OutputError, match="exists already: choose another"):
            make(tmp_path / "job")
        assert not list((tmp_path / "job").iterdir())


class TestDisk:
    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (errno.ENOSPC, "the disk is full"),
            (errno.EROFS, "the disk is read-only"),
            (errno.EACCES, "write-protected"),
        ],
    )
    @pytest.mark.parametrize(
        ("what", "after"),
        [
            ((Path, "mkdir"), 0),
            ((Path, "mkdir"), 1),
            ((Path, "mkdir"), 3),
            ((tifffile, "imwrite"), 0),
            ((tifffile, "imwrite"), 4),
            ((os, "fsync"), 2),
            ((Path, "rename"), 0),
        ],
    )
    def test_faults_leave_nothing(self, tmp_path, monkeypatch, number, words, what, after):
        real, calls = getattr(*what), []

        def fail(*args, **kwargs):
            calls.append(args)
            if len(calls) > after:
                raise OSError(number, "told by the system")
            return real(*args, **kwargs)

        known = np.ones((96, 128), bool)
        sources = [source(grid(), n, known) for n in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(*what, fail)
            with pytest.raises(OutputError, match=words) as error:
                make(tmp_path / "job", sources)
        assert len(calls) == after + 1
        assert str(tmp_path) in str(error.value)
        assert ".part" not in str(error.value)
        assert not list(tmp_path.iterdir())
        assert len(make(tmp_path / "job", sources).sources()) == 2

    def test_cancelling_leaves_nothing(self, tmp_path, monkeypatch):
        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(tifffile, "imwrite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "job")
        assert not list(tmp_path.iterdir())

    def test_a_file_in_the_way_of_the_folders(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="choose another folder"):
            make(tmp_path / "file" / "jobs" / "job")

    @pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
    def test_a_disk_that_is_really_full(self, tmp_path):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            with pytest.raises(OutputError, match="cannot be written"):
                make(tmp_path / "job")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list(tmp_path.iterdir())


class TestDamage:
    @pytest.fixture
    def job(self, tmp_path):
        return make(tmp_path / "job")

    def edit(self, job, **changes):
        path = job.folder / "job.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    @pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "7", "\xff{}", "{}"])
    def test_of_the_description(self, job, text):
        (job.folder / "job.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(
            DataError, match=r"job.json is (damaged|not valid).*prepare the training"
        ):
            Job.load(job.folder)

    @pytest.mark.parametrize(
        "changes",
        [
            {"sources": []},
            {"sources": [{"id": "../x", "name": "a", "sha256": SHA, "split": "train"}]},
            {"settings": {"steps": -1}},
            {"parent_sha256": "x"},
            {"further": 1},
            {"schema_version": 0},
            {"schema_version": "x"},
        ],
    )
    def test_of_a_value(self, job, changes):
        self.edit(job, **changes)
        with pytest.raises(DataError, match="is not valid at '"):
            Job.load(job.folder)

    @pytest.mark.parametrize("split", ["test", None, {"axis": 2, "train": [0, 1]}, 7])
    def test_of_a_split(self, job, split):
        content = json.loads((job.folder / "job.json").read_text())
        content["sources"][0]["split"] = split
        self.edit(job, **content)
        with pytest.raises(DataError, match=r"is not valid at 'sources.0.split"):
            Job.load(job.folder)

    def test_newer_versions_ask_for_an_update(self, job):
        self.edit(job, schema_version=2, further="x")
        with pytest.raises(DataError, match=r"version 2, newer.*update napari-cellseg"):
            Job.load(job.folder)

    @pytest.mark.parametrize("where", ["nowhere", "."])
    def test_what_is_no_job(self, tmp_path, where):
        with pytest.raises(DataError, match=r"is no prepared training: it holds no job.json"):
            Job.load(tmp_path / where)

    @pytest.mark.parametrize("kind", ["images", "labels"])
    def test_of_the_pictures(self, job, kind):
        path = job.folder / kind / "0000.tif"
        content = path.read_bytes()
        for broken in (b"", b"x", content[: len(content) // 4], content[:9]):
            path.write_bytes(broken)
            with pytest.raises(DataError, match=r"data cannot be read|was changed since"):
                job.sources()
        path.unlink()
        with pytest.raises(DataError, match="training data cannot be read: There is no file"):
            job.sources()

    def test_pictures_that_were_changed(self, job):
        path = job.folder / "images" / "0000.tif"
        pixels = tifffile.imread(path)
        pixels[0, 0] += 1
        tifffile.imwrite(path, pixels)
        with pytest.raises(DataError, match=r"image 'a' in .* was changed since"):
            job.sources()

    def test_labels_of_another_shape(self, job):
        tifffile.imwrite(job.folder / "labels" / "0000.tif", np.zeros((4, 4), np.uint16))
        with pytest.raises(DataError, match=r"labels .4, 4. and the image .96, 128."):
            job.sources()


class TestParent:
    def test_is_found_by_its_weights(self, tmp_path):
        job = make(tmp_path / "job")
        with pytest.raises(ModelError, match="There is no model called 'parent'"):
            job.find_parent()
        other = install("renamed")
        assert job.find_parent().folder == other
        folder = install()
        assert job.find_parent().folder == folder

    def test_that_was_changed_is_refused(self, tmp_path):
        job = make(tmp_path / "job")
        install(sha256="cd" * 32)
        with pytest.raises(ModelError, match=r"'parent' was changed since .*prepare it again"):
            job.find_parent()

    def test_that_was_packed_comes_first(self, tmp_path):
        job = make(tmp_path / "job")
        install()
        packed = install(root=job.folder)
        assert job.find_parent().folder == packed
        install(root=job.folder, sha256="cd" * 32)
        with pytest.raises(ModelError, match="was changed"):
            job.find_parent()


class TestZip:
    @pytest.fixture
    def job(self, tmp_path):
        install()
        known = np.ones((96, 128), bool)
        return make(tmp_path / "job", [source(grid(), name="ä"), source(grid(), 1, known)])

    def test_there_and_back(self, job, tmp_path):
        for waste in ("run/last.safetensors", "child/card.json", "gate.json", "lock"):
            (job.folder / waste).parent.mkdir(exist_ok=True)
            (job.folder / waste).write_bytes(b"x")
        job.pack(tmp_path / "a.zip")
        shutil.rmtree(user_folder())
        other = Job.load(tmp_path / "a.zip", tmp_path / "elsewhere")
        assert other.content == job.content
        for one, two in zip(other.sources(), job.sources(), strict=True):
            same(one, two)
        found = other.find_parent()
        assert found.folder == tmp_path / "elsewhere" / "parent"
        assert (found.folder / "weights.safetensors").read_bytes() == WEIGHTS
        assert not other.run_folder.exists()
        assert not other.gate_file.exists()
        other.pack(tmp_path / "b.zip")
        assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes()

    def test_without_the_parent(self, job, tmp_path):
        job.pack(tmp_path / "a.zip", with_parent=False)
        other = Job.load(tmp_path / "a.zip")
        assert other.folder.parent == jobs_folder()
        assert not (other.folder / "parent").exists()
        assert Job.load(tmp_path / "a.zip").folder != other.folder

    def test_the_same_folder_is_gone_on_with(self, job, tmp_path):
        job.pack(tmp_path / "a.zip")
        other = Job.load(tmp_path / "a.zip", tmp_path / "b")
        other.run_folder.mkdir()
        (other.run_folder / "last.safetensors").write_bytes(b"x")
        assert Job.load(tmp_path / "a.zip", tmp_path / "b") == other
        assert (other.run_folder / "last.safetensors").exists()
        with pytest.raises(OutputError, match="exists already"):
            Job.load(tmp_path / "a.zip", tmp_path / "job" / "images")

    def test_a_missing_parent_leaves_no_zip(self, job, tmp_path):
        shutil.rmtree(user_folder())
        with pytest.raises(ModelError):
            job.pack(tmp_path / "a.zip")
        assert not (tmp_path / "a.zip").exists()

    def test_a_full_disk_leaves_the_earlier_zip(self, job, tmp_path, monkeypatch):
        (tmp_path / "a.zip").write_bytes(b"earlier")

        def full(*args):
            raise OSError(errno.ENOSPC, "told by the system")

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfileobj", full)
            with pytest.raises(OutputError, match="disk is full"):
                job.pack(tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == b"earlier"
        job.pack(tmp_path / "a.zip")
        monkeypatch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(OutputError, match="disk is full"):
            Job.load(tmp_path / "a.zip", tmp_path / "b" / "c")
        assert not list((tmp_path / "b").iterdir())

    @pytest.mark.parametrize(
        "name",
        ["../job.json", "images/../../x", "/etc/passwd", "..\\x", "C:\\x", "images/..", "a:b"],
    )
    def test_paths_that_escape_are_refused(self, job, tmp_path, name):
        self.refuse(job, tmp_path, zipfile.ZipInfo(name), "outside of its folder")

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO])
    @pytest.mark.parametrize("name", ["images/0007.tif", "other"])
    def test_links_are_refused(self, job, tmp_path, kind, name):
        info = zipfile.ZipInfo(name)
        info.external_attr = (kind | 0o777) << 16
        self.refuse(job, tmp_path, info, "link or device")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_a_file_twice_is_refused(self, job, tmp_path):
        self.refuse(job, tmp_path, zipfile.ZipInfo("images/0000.tif"), "twice or far too large")

    def refuse(self, job, tmp_path, info, words):
        job.pack(tmp_path / "a.zip")
        with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
            archive.writestr(info, b"x")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(CellsegError, match=words):
            Job.load(tmp_path / "a.zip", tmp_path / "b")
        assert sorted(tmp_path.rglob("*")) == before

    def test_files_of_other_names_stay_in_the_zip(self, job, tmp_path):
        job.pack(tmp_path / "a.zip")
        with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
            for name in ("run/last.safetensors", "parent/evil.py", "images/x.tif", "gate.json"):
                archive.writestr(name, b"x")
        other = Job.load(tmp_path / "a.zip", tmp_path / "b")
        names = {p.relative_to(other.folder).as_posix() for p in other.folder.rglob("*.*")}
        assert names == {
            "job.json",
            *(f"{kind}/000{k}.tif" for kind in ("images", "labels") for k in range(2)),
            "known/0001.tif",
            "parent/card.json",
            "parent/weights.safetensors",
        }

    @pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
    def test_a_damaged_zip_leaves_nothing(self, job, tmp_path, damage):
        path = tmp_path / "a.zip"
        job.pack(path)
        content = bytearray(path.read_bytes())
        if damage == "flipped":
            at = content.find(b"images/0000.tif") + 200
            content[at : at + 20] = bytes(20)
        path.write_bytes(content[:-200] if damage == "cut" else content)
        if damage == "other":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("card.json", "{}")
        with pytest.raises(CellsegError, match=r"not a readable zip|not a packed training"):
            Job.load(path, tmp_path / "b")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "job"]


class TestUnfinished:
    def begun(self, name, root=None):
        job = make(free_folder(name, root))
        job.run_folder.mkdir()
        (job.run_folder / "last.safetensors").write_bytes(b"x")
        return job

    def test_lists_what_can_be_gone_on_with(self, tmp_path):
        assert unfinished() == []
        one, other, ended, damaged = (self.begun("ä / b") for _ in range(4))
        make(free_folder("not begun"))
        ended.gate_file.write_text("{}")
        (damaged.folder / "job.json").write_text("{")
        (jobs_folder() / "file").write_text("")
        assert unfinished() == [one, other]
        elsewhere = self.begun("x", tmp_path)
        assert unfinished(tmp_path) == [elsewhere]
        with one.hold():
            assert unfinished() == [other]
        one.remove()
        assert unfinished() == [other]
        assert not one.folder.exists()

    def test_folders_of_any_name_lie_among_the_jobs(self):
        for name in ("../../x", "con", "", "細胞", "a" * 500, "a\0b", "/etc"):
            folder = free_folder(name)
            assert folder.parent == jobs_folder()
            assert folder.name.isascii()
            folder.mkdir(parents=True)
            assert free_folder(name) != folder

    def test_two_runs_at_once_are_refused(self):
        job = self.begun("a")
        with job.hold(), pytest.raises(TrainingError, match="'child' is being trained already"):
            job.remove()
        with job.hold():
            pass

    def test_another_process_holds_its_job_until_it_dies(self):
        job = self.begun("a")
        code = (
            "import sys, time; from pathlib import Path\n"
            "from napari_cellseg.core.finetuning.jobs.place import hold\n"
            "with hold(Path(sys.argv[1]), 'x'):\n    print('held', flush=True); time.sleep(60)"
        )
        command = [sys.executable, "-c", code, str(job.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline().strip() == b"held"
            assert unfinished() == []
            child.kill()
            child.wait()
        assert unfinished() == [job]

    def test_a_folder_that_is_gone_cannot_be_held(self):
        job = self.begun("a")
        shutil.rmtree(job.folder)
        with pytest.raises(OutputError, match="does not exist"), job.hold():
            pass


def test_jobs_need_no_torch():
    code = "import sys, napari_cellseg.core.finetuning.jobs.job; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
