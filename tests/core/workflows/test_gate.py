"""Parent and child side by side: run by their cards, scored where things are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.workflows import gate
from napari_cellseg.core.workflows.gate import compare
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card


def model(name: str, **changes) -> Model:
    card = Card(name=name, architecture="attention-linknet", params={"width": 0.05}, **changes)
    return Model(card, torch.nn.Identity())


def case(known=None, channels=None, count=8) -> Source:
    labels = np.zeros((40, 10 * count), np.int32)
    for k in range(count):
        labels[4:10, 10 * k + 2 : 10 * k + 8] = 10 * (k + 1)
    image = Image(labels.astype(np.uint8), "YX", name="a")
    return Source("a", image, labels, known, channels=channels)


@pytest.fixture
def runs(monkeypatch):
    """Replace the networks: a model called "good" finds what is bright, others nothing."""
    seen = []

    def fake(image, recipe, *, model, device):
        seen.append((model.card.name, recipe, device))
        yield Progress("Predicting", 0, 3)
        yield Progress("Predicting", 1, 3, message="The batch was halved.")
        data = np.asarray(image.data).astype(np.int32)
        labels = data if model.card.name == "good" else np.zeros_like(data)
        if model.card.name == "greedy":
            labels = data.copy()
            labels[30:36] = 255
        return SimpleNamespace(labels=Labels(labels, "YX"))

    monkeypatch.setattr(gate, "segment", fake)
    return seen


def test_each_model_is_run_by_its_card(runs):
    parent, child = model("poor"), model("good", expected_diameter=50, post={"min_area": 3})
    result = finish(compare(parent, child, [case(channels=(0,))], device="cpu"))
    assert [(name, device) for name, _, device in runs] == [("poor", "cpu"), ("good", "cpu")]
    recipes = [recipe for _, recipe, _ in runs]
    assert recipes[0].preparation.diameter is None
    assert recipes[1].preparation.diameter == 50
    assert recipes[1].post.min_area == 3
    assert recipes[0].preparation.rescale == recipes[1].preparation.rescale == "auto"
    assert all(recipe.preparation.channels == (0,) for recipe in recipes)
    assert (result.images, result.objects) == (1, 8)
    assert (result.metrics["ap50"].parent, result.metrics["ap50"].child) == (0, 1)
    assert result.quality.difference == 1


def test_on_the_parent_s_data_both_have_its_settings_at_its_scale(runs):
    parent = model("poor", post={"min_area": 7})
    child = model("good", expected_diameter=50, post={"min_area": 99, "opening": 3})
    finish(compare(parent, child, [case()], replay=True))
    assert [name for name, *_ in runs] == ["poor", "good"]
    for _, recipe, _ in runs:
        assert recipe.post == PostParams(min_area=7)
        assert recipe.preparation.diameter is None
        assert recipe.preparation.rescale == "off"


@pytest.mark.parametrize(("rows", "score"), [(40, 8 / 9), (33, 8 / 9), (32, 1.0)])
def test_mistakes_count_only_where_things_are_known(runs, rows, score):
    known = np.zeros((40, 80), bool)
    known[:rows] = True
    result = finish(compare(model("good"), model("greedy"), [case(known)]))
    assert result.metrics["ap50"].child == pytest.approx(score)
    assert result.metrics["ap50"].parent == 1


def test_objects_of_which_little_is_known_are_not_judged(runs):
    known = np.zeros((40, 80), bool)
    known[:, :43] = True  # 4 objects, and a sixth of the next
    result = finish(compare(model("poor"), model("good"), [case(known)]))
    assert result.objects == 4
    assert result.metrics["dice"].child == 1


def test_steps_and_messages_of_the_segmentations_are_passed_on(runs):
    steps = list(compare(model("poor"), model("good"), [case(), case()]))
    assert {step.stage for step in steps} == {"Comparing"}
    assert [step.done for step in steps] == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert {step.total for step in steps} == {4}
    assert sum("halved" in step.message for step in steps) == 4


def test_nothing_to_compare_on_is_said_in_words():
    with pytest.raises(DataError, match="correct some more"):
        finish(compare(model("a"), model("b"), []))


def test_a_real_network_is_as_good_as_itself():
    torch.manual_seed(0)
    network = build_model("attention-linknet", {"width": 0.05}).eval()
    one = Model(model("tiny", post={"foreground_threshold": 0.5}).card, network)
    result = finish(compare(one, one, [case()], device="cpu"))
    for gain in (*result.metrics.values(), result.quality):
        assert gain.difference == gain.low == gain.high == 0
    assert result.chance == 1
