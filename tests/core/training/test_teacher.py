"""The teacher: pseudo-labels on unlabelled patches, and only those that it can give."""

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.unlabelled import UnlabelledSampler, load_unlabelled
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.inference.preparation import Normalization
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.progress import finish
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.teacher import Teacher
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card

CALM = AugmentParams(gamma=0, contrast=0, noise=0, blur=0, invert=0)
PARAMS = {"width": 0.1}


def planes(number=2):
    rng = np.random.default_rng(0)
    return [rng.random((40, 50, 1)).astype(np.float16) for _ in range(number)]


def sampler(augment=CALM, seed=0):
    return UnlabelledSampler(planes(), 32, 3, augment, seed)


def model(**card):
    values = {"architecture": "attention-unet", "params": PARAMS, "name": "teacher"}
    torch.manual_seed(1)
    return Model(Card(**(values | card)), build_model("attention-unet", PARAMS).eval())


def config(**values):
    return TrainConfig(**({"model_params": PARAMS, "patch_size": 32, "batch_size": 2} | values))


class TestPatches:
    def test_both_have_the_same_geometry(self):
        plain, changed = sampler().batch(3, 4)
        assert plain.shape == changed.shape == (4, 3, 32, 32)
        torch.testing.assert_close(plain, changed)

    def test_only_the_students_intensities_change(self):
        plain, changed = sampler(AugmentParams()).batch(3, 4)
        assert (plain - changed).abs().max() > 0.02
        torch.testing.assert_close(plain, sampler().batch(3, 4)[0])

    def test_batches_depend_on_seed_and_number_alone(self):
        one = sampler()
        one.batch(0, 2)
        assert torch.equal(one.batch(5, 2)[0], sampler().batch(5, 2)[0])
        assert not torch.equal(one.batch(5, 2)[0], sampler(seed=1).batch(5, 2)[0])
        assert not torch.equal(one.batch(5, 2)[0], one.batch(6, 2)[0])

    def test_wrong_channels_are_refused(self):
        with pytest.raises(DataError, match="2 channels"):
            UnlabelledSampler([np.zeros((8, 8, 2), np.float16)], 32, 3, CALM, 0)

    def test_every_plane_of_a_stack_is_normalised(self, tmp_path):
        stack = np.random.default_rng(0).integers(0, 9000, (3, 20, 30)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
        tifffile.imwrite(tmp_path / "b.tif", stack[0])
        loaded = finish(load_unlabelled([tmp_path], Normalization()))
        assert [plane.shape for plane in loaded] == [(20, 30, 1)] * 4
        assert all(plane.min() >= 0 and plane.max() == 1 for plane in loaded)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(DataError, match="nowhere"):
            finish(load_unlabelled([tmp_path / "nowhere"], Normalization()))


class TestConsistency:
    def test_equals_the_formula(self):
        """Mean over maps of the mean squared difference of probabilities."""
        teacher = Teacher(model(), sampler(AugmentParams()), config(consistency=3.0))
        student = build_model("attention-unet", PARAMS).eval()
        plain, changed = sampler(AugmentParams()).batch(7, 2)
        with torch.no_grad():
            truth, answer = model().network(plain), student(changed)
            parts = [(truth[n].sigmoid() - answer[n].sigmoid()).pow(2).mean() for n in truth]
            expected = 3 * sum(parts) / 2
            torch.testing.assert_close(teacher.loss(student, 7, 2), expected)

    def test_is_nothing_for_a_copy_that_sees_the_same(self):
        teacher = Teacher(model(), sampler(), config())
        assert teacher.loss(model().network, 0, 2).item() == pytest.approx(0, abs=1e-10)

    def test_only_the_student_learns(self):
        taught = model()
        student = build_model("attention-unet", PARAMS).train()
        Teacher(taught, sampler(AugmentParams()), config()).loss(student, 0, 2).backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in student.parameters())
        assert all(p.grad is None for p in taught.network.parameters())

    def test_classes_are_compared_by_softmax(self):
        params = PARAMS | {"maps": ("classes",), "types": ("a", "b")}
        network = build_model("attention-unet", params).eval()
        taught = Model(model().card, network)
        student = build_model("attention-unet", params).eval()
        loss = Teacher(taught, sampler(), config(model_params=params)).loss(student, 0, 2)
        plain, _ = sampler().batch(0, 2)
        expected = (
            network(plain)["classes"].softmax(1) - student(plain)["classes"].softmax(1)
        ) ** 2
        torch.testing.assert_close(loss, expected.mean())

    def test_a_teacher_that_does_not_fit_is_refused(self):
        other = config(model_params=PARAMS | {"in_channels": 1})
        with pytest.raises(SettingsError, match="other channels"):
            Teacher(model(), sampler(), other)
        with pytest.raises(SettingsError, match="normalization"):
            Teacher(model(normalization={"low": 3.0, "high": 97.0}), sampler(), config())
