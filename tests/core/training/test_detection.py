"""Training of detection networks: targets, the guide first, resumed runs, bundles that work."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import find_pairs, load_pairs
from napari_cellseg.core.errors import DeviceError
from napari_cellseg.core.models.detector import ObjectTargets
from napari_cellseg.core.models.guide import GuideUNet
from napari_cellseg.core.progress import finish
from napari_cellseg.core.training import detection
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.detection import (
    DetectionTrainer,
    guide_loss,
    make_trainer,
    object_targets,
)
from napari_cellseg.core.training.recipes.registry import ONLY_GEOMETRY
from napari_cellseg.core.workflows.train import train
from napari_cellseg.core.zoo.bundle import load_bundle

FULL = "mask-rcnn-msfl-csam"
TINY = TrainConfig(
    model=FULL, model_params={"width": 0.05, "in_channels": 1}, patch_size=32, batch_size=2,
    steps=5, epoch_steps=2, seed=3, post={"score_threshold": 0.9},
)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "disks"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    yy, xx = np.mgrid[:40, :40]
    for k in range(3):
        labels = np.zeros((40, 40), np.uint16)
        for n, (y, x) in enumerate([(12, 12 + k), (28, 27)], 1):
            labels[(yy - y) ** 2 + (xx - x) ** 2 < 50] = n
        image = (labels > 0) * 180 + np.random.default_rng(k).integers(0, 40, labels.shape)
        tifffile.imwrite(folder / "images" / f"{k}.tif", image.astype(np.uint8))
        tifffile.imwrite(folder / "labels" / f"{k}.tif", labels)
    (folder / "split.json").write_text(json.dumps({"train": ["0", "1"], "val": ["2"]}))
    return folder


def state(path):
    return load_bundle(path).network.state_dict()


def same(one, two, within=""):
    return all(torch.equal(one[name], two[name]) for name in one if within in name)


def test_targets_are_boxes_and_masks():
    labels = np.zeros((20, 30), np.int32)
    labels[2:7, 3:11] = 5
    labels[10:14, 20:30] = 9
    labels[0, :8] = 4  # the border leaves too little of it
    found = object_targets(labels)
    assert found.boxes.tolist() == [[3, 2, 11, 7], [20, 10, 30, 14]]
    np.testing.assert_array_equal(found.masks[0], labels == 5)
    np.testing.assert_array_equal(found.masks[1], labels == 9)
    assert found.boxes.dtype == torch.float32


def test_parts_that_a_mirror_set_apart_are_two_objects():
    labels = np.zeros((20, 30), np.int32)
    labels[2:7, 3:9] = labels[12:18, 3:9] = 1
    labels[2:7, 9:14] = 2  # touching is not hanging together
    assert len(object_targets(labels).boxes) == 3


def test_no_objects_are_no_targets():
    found = object_targets(np.zeros((8, 9), np.int32))
    assert found.boxes.shape == (0, 4)
    assert found.masks.shape == (0, 8, 9)


def test_the_guide_learns_the_cell_in_the_middle_alone(monkeypatch):
    """Two cells side by side: the crop of one shows the other, but the truth does not."""
    seen = {}
    guide = GuideUNet(1, (4, 8), 16)
    monkeypatch.setattr(
        torch.nn.functional, "binary_cross_entropy_with_logits",
        lambda logits, truth: seen.update(truth=truth) or logits.mean(),
    )  # fmt: skip
    monkeypatch.setattr(torch, "rand", lambda shape: torch.ones(shape))  # the widest margin
    monkeypatch.setattr(torch, "randperm", torch.arange)
    masks = torch.zeros(2, 40, 40)
    masks[0, 10:30, 8:18], masks[1, 10:30, 18:28] = 1, 1
    boxes = torch.tensor([[8.0, 10, 18, 30], [18, 10, 28, 30]])
    guide_loss(guide, masks.sum(0)[None, None], [ObjectTargets(boxes, masks.byte())])
    truth = seen["truth"]
    assert truth.shape == (2, 1, 16, 16)
    assert truth.mean().item() == pytest.approx(1 / 1.6**2, abs=0.06)
    assert truth[0, 0, 8, 8] == truth[1, 0, 8, 8] == 1
    assert truth[0, 0, :, -2:].max() == 0  # where the neighbour lies


def test_a_batch_without_objects_leaves_the_guide_alone():
    guide = GuideUNet(1, (4, 8), 16)
    none = object_targets(np.zeros((32, 32), np.int32))
    assert guide_loss(guide, torch.rand(1, 1, 32, 32), [none]).item() == 0


@pytest.fixture
def watched(monkeypatch):
    """Note for each step whether it moved the guide, anything else, or both; and its rate."""
    trained, rates, step = [], [], DetectionTrainer.step

    def watch(self):
        before = {n: p.detach().clone() for n, p in self.network.named_parameters()}
        rates.append(self.learning_rate())
        value = step(self)
        moved = {n for n, p in self.network.named_parameters() if not torch.equal(p, before[n])}
        trained.append({".guide." in n for n in moved})
        return value

    monkeypatch.setattr(DetectionTrainer, "step", watch)
    return trained, rates


def test_the_guide_is_trained_first_and_then_left_alone(data, tmp_path, watched):
    """A fifth of the run; each part has the whole schedule."""
    trained, rates = watched
    config = TINY.replace(steps=10, epoch_steps=8, warm_up=0.0)
    stages = [p.stage for p in train(config, [data], tmp_path / "out", device="cpu")]
    assert trained == [{True}] * 2 + [{False}] * 8
    assert stages.count("Training the guide") == 2
    assert rates[0] == rates[2] == config.learning_rate
    assert rates[1] < rates[0]
    assert rates[3] > rates[1]


@pytest.mark.parametrize(("share", "guide_steps"), [(0.0, 0), (0.5, 5)])
def test_the_share_of_the_guide_can_be_set(data, tmp_path, watched, share, guide_steps):
    """None: the parent's guide stays, and the rest has the whole schedule from its first step."""
    trained, rates = watched
    config = TINY.replace(steps=10, epoch_steps=8, warm_up=0.0, guide_share=share)
    stages = [p.stage for p in train(config, [data], tmp_path / "out", device="cpu")]
    assert trained == [{True}] * guide_steps + [{False}] * (10 - guide_steps)
    assert stages.count("Training the guide") == guide_steps
    assert rates[guide_steps] == config.learning_rate
    assert np.all(np.diff(rates[guide_steps:]) < 0)


@pytest.mark.parametrize(
    ("budget", "guide_steps"), [({"steps": 1}, 0), ({"minutes": 1e-6}, 1), ({"steps": 2}, 1)]
)
def test_the_shortest_run_leaves_a_bundle(data, tmp_path, watched, budget, guide_steps):
    """However little there is, the last step is not the guide's."""
    trained, rates = watched
    config = TINY.replace(**budget, warm_up=0.0)
    steps = list(train(config, [data], tmp_path / "out", device="cpu"))
    assert trained == [{True}] * guide_steps + [{False}]
    assert rates[0] == config.learning_rate
    assert min(rates) > 0
    assert load_bundle(tmp_path / "out").card.architecture == FULL
    assert sum("ap50" in one.metrics for one in steps) == 1
    assert all(one.done <= one.total for one in steps)


def test_a_run_leaves_a_bundle_that_finds_objects(data, tmp_path):
    result = finish(train(TINY, [data], tmp_path / "out", device="cpu"))
    model = load_bundle(result.folder)
    assert model.card.architecture == FULL
    assert model.card.maps == ("instances",)
    assert model.card.post == {"score_threshold": 0.9}
    assert model.network.lowest_score == 0.05
    with torch.inference_mode():
        (found,) = model.network(torch.rand(1, 1, 32, 32))
    assert found.masks.shape[1:] == (32, 32)
    assert {"ap50", "map", "pq", "loss"} <= set(result.best)


def test_a_resumed_run_equals_an_uninterrupted_one(data, tmp_path):
    finish(train(TINY, [data], tmp_path / "whole", device="cpu"))
    part = train(TINY, [data], tmp_path / "part", device="cpu")
    for progress in part:
        if progress.done == 3 and "ap50" in progress.metrics:
            break
    part.close()
    assert not (tmp_path / "part").exists()
    finish(train(TINY, [data], tmp_path / "part", resume=True, device="cpu"))
    assert same(state(tmp_path / "whole"), state(tmp_path / "part"))


def test_training_and_segmenting_from_the_command_line(data, tmp_path):
    from napari_cellseg.cli import main

    flags = "--model mask-rcnn --steps 2 --epoch-steps 2 --patch-size 32 --batch-size 2".split()
    parts = ["--set", "model_params.width=0.05", "--set", "post.score_threshold=0.9"]
    out = tmp_path / "out"
    assert (
        main(["train", "--data", str(data), "-o", str(out), "--device", "cpu", *flags, *parts]) == 0
    )
    image = data / "images" / "0.tif"
    labels = tmp_path / "labels"
    told = ["segment", str(image), "-o", str(labels), "--model", str(out), "--device", "cpu"]
    assert main([*told, "--set", "post.mask_threshold=0.4"]) == 0
    (written,) = labels.glob("*.tif")
    assert tifffile.imread(written).shape == (40, 40)


@pytest.mark.parametrize("name", ["mask-rcnn", FULL])
def test_the_loss_on_validation_is_repeatable_and_changes_nothing(name, data):
    config = TINY.replace(model=name, steps=2)
    images = finish(load_pairs(find_pairs(data, "val"), config.normalization))
    sampler = PatchSampler(images, 32, 1, config.augment, config.targets, 0.5, 0)
    trainer = make_trainer(config, sampler, "cpu")
    before = {name: value.clone() for name, value in trainer.average.state_dict().items()}
    torch.manual_seed(4)
    wanted = torch.rand(3)
    torch.manual_seed(4)
    first, second = (trainer.loss_of({}, images[0]) for _ in range(2))
    assert first == second
    assert np.isfinite(first)
    assert torch.equal(torch.rand(3), wanted)  # the steps to come are the same
    after = trainer.average.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(part.training for part in trainer.average.modules())
    worse = replace(images[0], image=1 - images[0].image)
    assert trainer.loss_of({}, worse) != first


def test_a_processor_without_bfloat16_is_told_before_the_training(data, monkeypatch):
    """But for networks that find objects one by one, which take float32 there anyway."""
    monkeypatch.setattr(detection, "can_compute_bfloat16", lambda device: device != "cpu")
    config = TINY.replace(precision="bfloat16")
    images = finish(load_pairs(find_pairs(data, "val"), config.normalization))
    sampler = PatchSampler(images, 32, 1, config.augment, config.targets, 0.5, 0)
    assert isinstance(make_trainer(config, sampler, "cpu"), DetectionTrainer)
    dense = config.replace(model="attention-unet", model_params={"width": 0.1})
    with pytest.raises(DeviceError, match=r"cannot train in bfloat16: set .* float32"):
        make_trainer(dense, sampler, "cpu")
    make_trainer(dense.replace(precision="float32"), sampler, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mask-rcnn", FULL])
def test_two_real_patches_are_learnt_by_heart(name, shared_data, tmp_path):
    """AP@0.5 of at least 0.95 on what it was trained on: the whole chain can learn."""
    source, folder = shared_data / "nuclei_bbbc039", tmp_path / "two"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for path in sorted((source / kind).iterdir())[:2]:
            tifffile.imwrite(folder / kind / path.name, tifffile.imread(path)[:96, :96])
    stems = [p.stem for p in sorted((folder / "images").iterdir())]
    (folder / "split.json").write_text(json.dumps({"train": stems, "val": stems}))
    config = TINY.replace(
        model=name,
        model_params={"width": "small"},
        patch_size=96,
        steps=480,
        epoch_steps=40,
        ema=0.9,
        learning_rate=1e-3,
        augment={**ONLY_GEOMETRY, "rotate": False},
        post={},
    )
    scores = []
    for step in train(config, [folder], tmp_path / "out", device="cpu"):
        scores.append(step.metrics.get("ap50", 0.0))
        if scores[-1] >= 0.95:
            break
    assert max(scores) >= 0.95
