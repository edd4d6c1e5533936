"""Fine-tuning: learns, repeats, resumes, is judged, and leaves its parent as it was."""

import errno
import os
import re
import shutil

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ModelError, OutputError, TrainingError
from napari_cellseg.core.finetuning.events import Preview
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.judgement.gate import GateReport
from napari_cellseg.core.finetuning.material.replay import load_replay
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.requests import Requests
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.models.detector import DETECTORS, build_network
from napari_cellseg.core.models.registry import MODELS
from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.training import epochs
from napari_cellseg.core.training.checkpoint import read_checkpoint, split_names
from napari_cellseg.core.training.trainer import Trainer
from napari_cellseg.core.workflows.finetune import finetune, install_child
from napari_cellseg.core.zoo.bundle import load_bundle, save_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import find_model

TINY = FineTuneSettings(
    minutes=None, steps=4, epoch_steps=2, batch_size=2, patch_size=64, precision="float32",
    learning_rate=0.01, fit_post=False, parent_share=0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_CELLSEG_HOME", str(tmp_path / "home"))


def disks(number=0, shape=(64, 96), known=None):
    labels = np.zeros(shape, np.int32)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    centres = [(y, x) for x in range(12, shape[1] - 8, 20) for y in range(12, shape[0] - 8, 20)]
    for n, (y, x) in enumerate(centres, 1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 < 50] = n
    noise = np.random.default_rng(number).integers(0, 40, shape)
    pixels = ((labels > 0) * 180 + noise).astype(np.uint8)
    return Source(f"disks {number}", Image(pixels, "YX"), labels, known)


def parent(tmp_path, kind="oktay-attention-unet", width=0.05):
    """A model with random weights; an empty self-made one knows nothing."""
    torch.manual_seed(0)
    network = build_network(kind, {"width": width})
    params = network.params.model_dump(mode="json")
    card = Card(
        name="old", architecture=kind, params=params, maps=network.params.maps,
        object_diameter=8.0, recipe={"loss": "bce-dice"}, lineage=("older 123",),
    )  # fmt: skip
    folder = tmp_path / "old"
    save_bundle(folder, network, card)
    return find_model(folder)


def prepared(tmp_path, name="job", settings=TINY, sources=None, entry=None):
    entry = entry or parent(tmp_path)
    sources = sources or [disks(0), disks(1)]
    return Job.create(tmp_path / name, "new", entry, settings, sources)


def weights(folder):
    return load_bundle(folder).network.state_dict()


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_leaves_a_child_and_its_judgement(tmp_path):
    entry = parent(tmp_path)
    before = {p.name: p.read_bytes() for p in entry.folder.iterdir()}
    job = prepared(tmp_path, entry=entry, settings=TINY.replace(fit_post=True))
    stages = []
    run = finetune(job, device="cpu")
    while True:
        try:
            step = next(run)
        except StopIteration as stop:
            result = stop.value
            break
        stages += [step.stage] if step.stage not in stages else []
        if "ap50" in step.metrics:
            assert {"loss", "rate", "validation_loss", "map", "pq"} <= set(step.metrics)
    order = ["Reading training data", "Training", "Validating", "Saving", "Fitting", "Comparing"]
    assert stages == order
    assert result.folder == job.child_folder
    assert GateReport.load(job.gate_file).verdict == result.verdict
    assert result.comparisons["new"].objects == 12
    assert len(result.history) == 2
    card = load_bundle(result.folder).card
    assert card.name == "new"
    assert card.lineage == ("older 123", f"old {entry.card.weights_sha256[:12]}")
    assert card.channels == entry.card.channels
    told = card.recipe["finetuning"]
    assert {one["sha256"] for one in told["sources"]} == set(job.splits)
    assert FineTuneSettings.parse(told["settings"]) == job.settings
    assert "held-out corrections" in card.scores
    assert card.self_test_sha256
    replay = load_replay(result.folder)
    assert {one.part for one in replay.patches} == {"train", "held-out"}
    assert not same(weights(entry.folder), weights(result.folder))
    assert {p.name: p.read_bytes() for p in entry.folder.iterdir()} == before


def test_the_next_round_replays_and_is_judged_by_what_was_learnt(tmp_path):
    finish(finetune(prepared(tmp_path), device="cpu"))
    child = find_model(tmp_path / "job" / "child")
    again = prepared(tmp_path, "again", sources=[disks(2), disks(0)], entry=child)
    result = finish(finetune(again, device="cpu"))
    assert result.comparisons["replay"].objects > 0
    noted = load_bundle(result.folder).card.recipe["finetuning"]["sources"]
    assert len(noted) == 3


def test_the_child_keeps_its_parents_share(tmp_path):
    entry, children = parent(tmp_path), {}
    for share in (0.0, 0.25):
        settings = TINY.replace(parent_share=share, learning_rate=0.05)
        job = prepared(tmp_path, f"{share}", settings, entry=entry)
        finish(finetune(job, device="cpu"))
        children[share] = weights(job.child_folder)
    own = weights(entry.folder)
    for name, learnt in children[0.0].items():
        expected = torch.lerp(learnt, own[name], 0.25) if learnt.is_floating_point() else learnt
        torch.testing.assert_close(children[0.25][name], expected, atol=1e-3, rtol=2e-3)
    moved = [(children[0.0][n] - own[n]).abs().max() for n in own if "running" not in n]
    assert max(float(one) for one in moved) > 0.02  # or the shares could not be told apart


def test_the_same_seed_gives_the_same_weights_and_a_resumed_run_too(tmp_path):
    """Cut off within an epoch, twice."""
    jobs = [prepared(tmp_path, f"job{k}", entry=parent(tmp_path)) for k in range(3)]
    finish(finetune(jobs[0], device="cpu"))
    finish(finetune(jobs[1], device="cpu"))
    for cut in (1, 3):
        run = finetune(jobs[2], device="cpu", resume=True)
        for step in run:
            if step.stage == "Training" and step.done == cut:
                break
        run.close()
        assert not jobs[2].child_folder.exists()
    with pytest.raises(OutputError, match="begun already"):
        next(finetune(jobs[2], device="cpu"))
    finish(finetune(jobs[2], device="cpu", resume=True))
    assert same(weights(jobs[0].child_folder), weights(jobs[1].child_folder))
    assert same(weights(jobs[0].child_folder), weights(jobs[2].child_folder))
    with pytest.raises(OutputError, match="finished already"):
        next(finetune(jobs[0], device="cpu", resume=True))


def test_nothing_is_learnt_from_what_is_not_known(tmp_path):
    """Whatever the labels say there."""
    known = np.zeros((64, 96), bool)
    known[:, :44] = True
    found = []
    for lie in (0, 1):
        source = disks(0, known=known)
        source.labels[(source.labels == 0) & ~known] = 77 * lie
        job = prepared(tmp_path, f"job{lie}", sources=[source, disks(1)], entry=parent(tmp_path))
        found.append(job)
    train = [[s for s, split in job.splits.items() if split == "train"] for job in found]
    assert train[0] == train[1]
    for job in found:
        finish(finetune(job, device="cpu"))
    assert same(weights(found[0].child_folder), weights(found[1].child_folder))


def test_previews_are_bundles_of_the_weights_of_now(tmp_path):
    requests = Requests()
    requests.ask_preview()
    seen = []
    for step in (run := finetune(prepared(tmp_path), device="cpu", requests=requests)):
        if isinstance(step, Preview):
            seen.append((step.done, load_bundle(step.folder).card.name))
            if len(seen) == 2:
                break
        elif step.done == 3:
            requests.ask_preview()
    run.close()
    assert seen[0] == (1, "new")
    assert seen[1][0] in (3, 4)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    job = prepared(tmp_path)
    loss = Trainer.loss

    def spoilt(self, piece=0):
        return loss(self, piece) * (float("nan") if self.step_number == 3 else 1)

    monkeypatch.setattr(Trainer, "loss", spoilt)
    with pytest.raises(TrainingError, match="loss became nan at step 3"):
        finish(finetune(job, device="cpu"))
    monkeypatch.setattr(Trainer, "loss", loss)
    run = finetune(job, device="cpu", resume=True)
    done = [step.done for step in run if step.stage == "Training"]
    assert done[0] == 3  # the checkpoint is that of the validation after step 2


def test_a_full_disk_is_told_and_the_run_can_go_on(tmp_path, monkeypatch):
    job = prepared(tmp_path)
    replace = os.replace

    def full(source, target):
        if str(target).endswith("best.safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="disk is full"):
        finish(finetune(job, device="cpu"))
    monkeypatch.setattr(os, "replace", replace)
    finish(finetune(job, device="cpu", resume=True))
    assert job.gate_file.exists()


def test_a_changed_parent_is_refused(tmp_path):
    entry = parent(tmp_path)
    job = prepared(tmp_path, entry=entry)
    other = load_bundle(entry.folder)
    with torch.no_grad():
        next(other.network.parameters()).add_(1)
    save_bundle(entry.folder, other.network, entry.card)
    with pytest.raises(ModelError):
        next(finetune(job, device="cpu"))


def test_one_object_is_trained_on_and_judged_by_nothing(tmp_path):
    labels = np.zeros((40, 40), np.int32)
    labels[10:20, 10:20] = 1
    known = np.zeros((40, 40), bool)
    known[8:22, 8:22] = True
    one = Source("one", disks(0, (40, 40)).image, labels, known)
    job = prepared(tmp_path, sources=[one])
    result = finish(finetune(job, device="cpu"))
    assert not result.verdict.accepted
    assert "no object" in result.verdict.reason


def test_of_few_images_the_last_weights_are_kept_whatever_their_validation(tmp_path, monkeypatch):
    """Those with the best look at the images that they are judged by would be judged too well."""
    scores = iter([0.9, 0.5, 0.1])
    monkeypatch.setattr(epochs, "validate", lambda *_: given(next(scores)))
    job = prepared(tmp_path, settings=TINY.replace(steps=6, patience=1))
    finish(finetune(job, device="cpu"))
    last = split_names(read_checkpoint(job.run_folder / "last.safetensors")[0])["average"]
    assert close(last, weights(job.child_folder))


def test_of_many_images_some_choose_the_weights_and_judge_nothing(tmp_path, monkeypatch):
    seen, scores = [], iter([0.5, 0.9, 0.1])

    def validate(network, images, *_):
        seen.append({image.name for image in images})
        return given(next(scores))

    monkeypatch.setattr(epochs, "validate", validate)
    sources = [disks(k, (32, 64)) for k in range(14)]
    job = prepared(tmp_path, settings=TINY.replace(steps=6), sources=sources)
    result = finish(finetune(job, device="cpu"))
    judged = {s.name for s in sources if job.splits[s.sha256] == "validation"}
    assert seen[0]
    assert not seen[0] & judged
    best = split_names(read_checkpoint(job.run_folder / "best.safetensors")[0])["average"]
    assert close(best, weights(job.child_folder))
    assert [row["ap50"] for row in result.history] == [0.5, 0.9, 0.1]
    last = split_names(read_checkpoint(job.run_folder / "last.safetensors")[0])["average"]
    assert not close(last, best)


def close(one, two):
    """Bundles keep half precision."""
    return all(torch.allclose(one[name].float(), two[name].float(), atol=2e-3) for name in one)


def given(score):
    yield Progress("Validating")
    return {"ap50": score, "map": score, "pq": score}


def test_the_card_of_an_installed_model_says_what_was_found(tmp_path):
    job = prepared(tmp_path)
    result = finish(finetune(job, device="cpu"))
    entry = install_child(job)
    assert entry.card.recipe["finetuning"]["verdict"] == result.verdict.model_dump()
    assert entry.card.recipe["finetuning"]["sources"]
    assert not re.search(r"\b1 (images|corrected objects)\b", entry.card.description)
    assert load_bundle(entry.folder)
    job.gate_file.unlink()
    assert install_child(job).name == "new-2"


def test_a_child_is_installed_under_a_free_name(tmp_path):
    job = prepared(tmp_path)
    with pytest.raises(ModelError, match="no model yet"):
        install_child(job)
    finish(finetune(job, device="cpu"))
    first, second = install_child(job), install_child(job)
    assert (first.name, second.name) == ("new", "new-2")
    assert same(weights(first.folder), weights(job.child_folder))
    assert find_model("new-2").card.weights_sha256 == first.card.weights_sha256


@pytest.mark.parametrize(
    "kind",
    [
        "mask-rcnn",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in [*MODELS.names(), *DETECTORS.names()]
            if kind not in ("mask-rcnn", "oktay-attention-unet")
        ),
    ],
)
def test_every_architecture_can_be_fine_tuned(kind, tmp_path):
    width = "small" if kind == "mask-rcnn-msfl-csam" else 0.1
    entry = parent(tmp_path, kind, width)
    known = np.ones((64, 96), bool)
    known[:, 60:] = False
    settings = TINY.replace(steps=2, freeze="all but heads", fit_post=False)
    job = prepared(
        tmp_path, settings=settings, sources=[disks(0, known=known), disks(1)], entry=entry
    )
    result = finish(finetune(job, device="cpu"))
    assert result.comparisons["new"].objects
    assert load_bundle(result.folder).card.architecture == kind


def test_folders_from_python(tmp_path):
    """The public call: images, labels and known areas in a folder; a model and its job come out."""
    from napari_cellseg import api

    parent(tmp_path)
    for kind in ("images", "labels", "known"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(2):
        source = disks(number)
        known = np.ones(source.labels.shape, np.uint8)
        known[:, :20] = 0
        for kind, array in (
            ("images", source.image.data),
            ("labels", source.labels.astype(np.uint16)),
            ("known", known),
        ):
            tifffile.imwrite(tmp_path / "data" / kind / f"{number}.tif", array)
    steps = []
    old, new = tmp_path / "old", tmp_path / "new"
    few = {"steps": 2, "minutes": None, "fit_post": False, "patch_size": 64}
    told = {"device": "cpu", "progress": steps.append}
    result = api.fine_tune(tmp_path / "data", new, old, **told, **few)
    assert result.folder == tmp_path / "new"
    assert load_bundle(tmp_path / "new").card.lineage[-1].startswith("old ")
    assert result.comparisons["new"].images == 1
    assert {"Reading training data", "Training", "Comparing"} <= {step.stage for step in steps}
    job = Job.load(tmp_path / "new.job")
    assert [source.area for source in job.sources()] == [64 * 76] * 2
    with pytest.raises(OutputError, match="exists already"):
        api.fine_tune(tmp_path / "data", tmp_path / "new", tmp_path / "old")
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(OutputError, match="begun"):
        api.fine_tune(tmp_path / "data", tmp_path / "new", tmp_path / "old")
