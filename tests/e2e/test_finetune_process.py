"""Real trainings in a process of their own: finished, stopped, killed, resumed."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import Cancelled, TrainingError
from napari_cellseg.core.finetuning.events import Preview
from napari_cellseg.core.finetuning.jobs.job import Job, unfinished
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import find_model
from napari_cellseg.session.finetuning.process import TrainingProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def job(tmp_path):
    """A job on two small images: six steps of the included model."""
    y, x = np.mgrid[:96, :96]
    inside = (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < 60
    labels = np.where(inside, y // 24 * 4 + x // 24 + 1, 0).astype(np.int32)
    sources = [
        Source(str(level), Image(np.where(inside, level, 20).astype(np.uint8), "YX"), labels)
        for level in (180, 220)
    ]
    settings = FineTuneSettings(
        minutes=None,
        steps=6,
        patch_size=64,
        batch_size=2,
        epoch_steps=2,
        patience=0,
        replay=0,
        fit_post=False,
    )
    return Job.create(tmp_path / "job", "child", find_model("nuclei"), settings, sources)


def drain(events):
    steps = []
    while True:
        try:
            steps.append(next(events))
        except StopIteration as stop:
            return steps, stop.value


def training(events):
    return next(step for step in events if "loss" in step.metrics)


def test_to_the_end_with_a_second_run_refused_meanwhile(job):
    parent = job.find_parent().card.weights_sha256
    run = TrainingProcess(job, "cpu")
    events = run.events()
    run.preview()
    assert training(events)
    run.pause()
    look = next(step for step in events if isinstance(step, Preview))
    assert Card.load(look.folder).weights_sha256 != parent
    assert next(step for step in events if step.stage == "Paused")
    with pytest.raises(TrainingError, match="being trained already"):
        drain(TrainingProcess(job, "cpu", resume=True).events())
    run.go_on()
    steps, outcome = drain(events)
    assert {"Training", "Validating", "Comparing", "Saving"} <= {step.stage for step in steps}
    assert max(step.done for step in steps if step.stage == "Training") == 6
    assert outcome.folder == job.child_folder
    assert outcome.reason
    assert job.gate_file.exists()
    assert not unfinished(job.folder.parent)
    assert find_model("nuclei").card.weights_sha256 == parent


@pytest.mark.parametrize("how", ["cancelled", "killed"])
def test_stopped_in_the_middle_and_resumed(job, how):
    if how == "killed" and sys.platform == "win32":
        pytest.skip("no signals")
    run = TrainingProcess(job, "cpu")
    events = run.events()
    # the first validation leaves the first checkpoint
    next(step for step in events if step.stage == "Training" and step.done > 2)
    if how == "cancelled":
        run.cancel()
    else:
        os.kill(run._process.pid, signal.SIGKILL)
    with pytest.raises(Cancelled if how == "cancelled" else TrainingError, match="resume"):
        drain(events)
    assert [one.folder for one in unfinished(job.folder.parent)] == [job.folder]
    steps, outcome = drain(TrainingProcess(job, "cpu", resume=True).events())
    numbers = [step.done for step in steps if step.stage == "Training" and step.metrics]
    assert min(numbers) > 2
    assert max(numbers) == 6
    assert outcome.folder == job.child_folder
