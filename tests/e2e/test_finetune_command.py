"""The command ``finetune``: jobs and folders in, a model and a verdict out."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_cellseg import cli
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.jobs.folders import sources_of_folder
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.judgement.gate import Comparison, Gain
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.store import find_model


@dataclass(frozen=True)
class Result:
    folder: Path
    verdict: SimpleNamespace
    comparisons: dict[str, Comparison] = field(default_factory=dict)


@pytest.fixture
def trained(monkeypatch):
    """Put a workflow in the place of training that gives the parent back, and note its calls."""
    calls = SimpleNamespace(jobs=[], resumed=[], installed=[], accepted=True, comparisons={})

    def finetune(job, *, resume=False, device="auto", requests=None, parent=None):
        yield Progress("Training", 1, 2, metrics={"loss": 1.0})
        calls.jobs.append(job)
        calls.resumed.append(resume)
        if not job.child_folder.exists():
            job.child_folder.mkdir()
            for file in job.find_parent().folder.iterdir():
                (job.child_folder / file.name).write_bytes(file.read_bytes())
        verdict = SimpleNamespace(accepted=calls.accepted, reason="So.")
        return Result(job.child_folder, verdict, calls.comparisons)

    def install_child(job):
        calls.installed.append(job.name)
        return SimpleNamespace(folder=Path("installed") / job.name)

    module = ModuleType("napari_cellseg.core.workflows.finetune")
    module.finetune, module.install_child = finetune, install_child
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main([str(one) for one in ("finetune", *arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def data(tmp_path):
    """Two images of 12 squares each."""
    y, x = np.mgrid[:90, :120]
    inside = (y % 30 < 14) & (x % 30 < 14)
    labels = np.where(inside, y // 30 * 4 + x // 30 + 1, 0).astype(np.uint16)
    folder = tmp_path / "data"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(2):
        image = np.where(inside, 200 + number, 10).astype(np.uint8)
        tifffile.imwrite(folder / "images" / f"{number}.tif", image)
        tifffile.imwrite(folder / "labels" / f"{number}.tif", labels)
    return folder


@pytest.fixture
def job(data, tmp_path, bright_model):
    sources = list(sources_of_folder(data))
    parent = find_model(bright_model)
    return Job.create(tmp_path / "job", "child", parent, FineTuneSettings(), sources)


def test_folders_are_prepared_trained_and_written(run, data, tmp_path, bright_model, trained):
    output = tmp_path / "mine"
    given = ("--data", data, "--parent", bright_model, "-o", output)
    status, said, _ = run(*given, "--preset", "thorough", "--learning-rate", "2e-4")
    assert (status, said) == (0, f"{output}: better. So.\n")
    assert find_model(output).card.name == "bright"
    (job,) = trained.jobs
    assert job.name == "mine"
    assert job.settings == FineTuneSettings.thorough().replace(learning_rate=2e-4)
    assert len(job.splits) == 2
    status, _, complaint = run(*given)
    assert status == 1
    assert "exists already" in complaint
    for file in output.iterdir():
        file.unlink()
    output.rmdir()
    status, _, complaint = run(*given)
    assert status == 1
    assert "--resume" in complaint
    assert run(*given, "--resume")[0] == 0
    assert trained.resumed == [False, True]
    assert trained.jobs[1].settings == job.settings


def test_a_job_and_its_zip(run, job, tmp_path, trained):
    status, said, _ = run(job.folder, "--device", "cpu")
    assert (status, said) == (0, f"{job.folder / 'child'}: better. So.\n")
    job.pack(tmp_path / "packed.zip")
    assert run(tmp_path / "packed.zip", "-o", tmp_path / "there")[0] == 0
    assert trained.jobs[1].folder == tmp_path / "packed"
    assert find_model(tmp_path / "there").card.name == "bright"


def test_only_a_better_model_is_installed(run, job, trained):
    status, said, _ = run(job.folder, "--install")
    assert (status, said) == (0, f"{Path('installed') / 'child'}: better. So.\n")
    trained.accepted = False
    status, said, _ = run(job.folder, "--install")
    assert (status, said) == (1, f"{job.folder / 'child'}: not better. So.\n")
    assert trained.installed == ["child"]
    assert run(job.folder)[0] == 0


def test_another_is_installed_only_by_a_word_of_its_own(run, job, trained):
    trained.accepted = False
    status, said, _ = run(job.folder, "--install", "--anyway")
    assert (status, said) == (0, f"{Path('installed') / 'child'}: not better. So.\n")
    assert trained.installed == ["child"]
    status, _, complaint = run(job.folder, "--anyway")
    assert status == 2
    assert "--install" in complaint


def test_the_comparison_is_shown(run, job, trained):
    gain = Gain(parent=0.5, child=0.75, difference=0.25, low=0.1, high=0.3)
    comparison = Comparison(
        images=2,
        objects=30,
        level="images",
        units=2,
        metrics={"ap50": gain},
        quality=gain,
        chance=0.01,
    )
    trained.comparisons["replay"] = comparison
    _, said, _ = run(job.folder)
    assert said.splitlines()[:2] == [
        "Data of the parent, 2 images, 30 objects:",
        "  ap50  0.500 → 0.750  (+0.250, 95 %: +0.100 to +0.300)",
    ]


def test_two_runs_at_once(run, job):
    with job.hold():
        status, _, complaint = run(job.folder)
    assert status == 1
    assert "is being trained already" in complaint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "JOB"),
        (["job", "--data", "x"], "JOB"),
        (["--data", "x", "-o", "y"], "--parent"),
        (["--data", "x", "--parent", "y"], "--output"),
        (["job", "--minutes", "3"], "--minutes goes with --data only"),
        (["job", "--preset", "quick"], "--preset goes with --data only"),
        (["job", "--batch-size", "3"], "--batch-size goes"),
        (["--data", "x", "--parent", "y", "-o", "z", "--minutes", "-1"], "minutes"),
    ],
)
def test_commands_that_do_not_go(arguments, said, run, trained):
    status, _, complaint = run(*arguments)
    assert status == 2
    assert said in complaint


def test_no_job(run, tmp_path, trained):
    status, _, complaint = run(tmp_path)
    assert status == 1
    assert "job.json" in complaint
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "")
    assert run(tmp_path / "other.zip")[0] == 1


def test_events_on_standard_output(job, trained, monkeypatch, capfd):
    orders, kept_open = os.pipe()  # pytest's own standard input is at its end, which cancels
    streams = os.fdopen(orders, "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    monkeypatch.setattr("napari_cellseg.cli.events.take_streams", lambda: streams)
    assert cli.main(["finetune", str(job.folder), "--json"]) == 0
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["event"] for one in told] == ["progress", "finished"]
    assert told[-1]["folder"] == str(job.folder / "child")
    os.close(kept_open)
    streams[1].close()


class TestFolders:
    def test_everything_is_known_without_a_folder_of_it(self, data):
        first, second = sources_of_folder(data)
        assert (first.name, second.name) == ("0", "1")
        assert first.objects == 12
        assert first.area == first.labels.size
        assert first.image.plane()[0, 0, 0] == 200

    def test_known_areas_and_images_without_one(self, data):
        (data / "known").mkdir()
        area = np.zeros((90, 120), np.uint8)
        area[:, :60] = 255
        tifffile.imwrite(data / "known" / "1.tif", area)
        (source,) = sources_of_folder(data)
        assert source.name == "1"
        assert source.objects == 6
        assert source.area == 90 * 60

    def test_validation_images_are_not_learned_from(self, data):
        (data / "split.json").write_text(json.dumps({"train": ["1"], "val": ["0"]}))
        assert [one.name for one in sources_of_folder(data)] == ["1"]

    @pytest.mark.parametrize("fault", ["empty", "names", "stack", "size", "zero"])
    def test_faults(self, data, fault):
        if fault in ("names", "zero", "size"):
            (data / "known").mkdir()
            name = "other" if fault == "names" else "0"
            shape = (9, 9) if fault == "size" else (90, 120)
            file = data / "known" / f"{name}.tif"
            tifffile.imwrite(file, np.full(shape, fault == "size", np.uint8))
        elif fault == "stack":
            stack = np.zeros((5, 90, 120), np.uint8)
            tifffile.imwrite(data / "images" / "0.tif", stack, photometric="minisblack")
        else:
            (data / "images" / "0.tif").write_bytes(b"")
        with pytest.raises(DataError):
            list(sources_of_folder(data))
