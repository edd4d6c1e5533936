"""The estimate before a fine-tuning: measured, bounded by the budget, without torch at import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.finetuning import estimate as module
from napari_cellseg.core.finetuning.estimate import estimate
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.zoo.card import Card

CARD = Card(name="tiny", architecture="attention-linknet", params={"width": 0.05})
SMALL = FineTuneSettings(patch_size=64, batch_size=2, steps=10, minutes=None)


def source(side=64) -> Source:
    labels = np.zeros((side, side), np.int32)
    labels[10:28, 10:28] = 1
    return Source("a", Image(np.zeros((side, side), np.uint8), "YX"), labels)


def reckon(monkeypatch, seconds=0.5, kept=1e6, sources=None, **changes):
    """Estimate with a step that was measured to take so long."""
    monkeypatch.setattr(module, "_measure", lambda *_: module._Measured(seconds, kept, 1000))
    return estimate(SMALL.replace(**changes), CARD, sources or [source()], "cpu")


def test_it_is_there_without_torch():
    code = (
        "import sys, napari_cellseg.core.finetuning.estimate, "
        "napari_cellseg.core.finetuning.material.replay, "
        "napari_cellseg.core.finetuning.judgement.gate; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_real_steps_are_taken_and_nothing_else_changes():
    before = torch.get_rng_state()
    found = estimate(SMALL, CARD, [source()], "cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert module._OVERHEAD < found.seconds < 600
    assert found.memory_bytes > module._PROGRAM
    assert found.note.startswith("10 steps of")


def test_larger_batches_keep_more_and_a_frozen_encoder_less():
    card = CARD.replace(params={**CARD.params})
    config = SMALL.training(card, [source()])
    one = module._measure(config, card, "cpu")
    four = module._measure(config.replace(batch_size=8), card, "cpu")
    assert four.kept == pytest.approx(4 * one.kept, rel=0.2)
    assert four.weights == one.weights > 1000
    frozen = module._measure(config.replace(freeze="encoder"), card, "cpu")
    assert frozen.kept < 0.8 * one.kept


def test_steps_add_up_until_the_budget_ends_them(monkeypatch):
    ten, twenty = (reckon(monkeypatch, steps=n).seconds for n in (10, 20))
    assert twenty - ten == pytest.approx(5)
    assert reckon(monkeypatch, steps=10_000, minutes=0.5).seconds == pytest.approx(
        reckon(monkeypatch, steps=60).seconds
    )


def test_more_and_larger_images_take_longer_to_validate_and_compare(monkeypatch):
    few = reckon(monkeypatch, steps=100, epoch_steps=10).seconds
    rare = reckon(monkeypatch, steps=100, epoch_steps=100).seconds
    many = reckon(monkeypatch, sources=[source(512)] * 12, steps=100, epoch_steps=10).seconds
    assert rare < few < many
    shown_small = reckon(
        monkeypatch, sources=[source(512)] * 12, steps=100, epoch_steps=10, diameter=5
    ).seconds
    assert shown_small < many


def test_a_short_memory_is_said_with_a_remedy(monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda _: 2**31)
    assert "memory" not in reckon(monkeypatch).note
    assert "choose a smaller batch" in reckon(monkeypatch, kept=2**32).note
    monkeypatch.setattr(module, "free_memory", lambda _: None)
    assert "memory" not in reckon(monkeypatch, kept=2**32).note


def test_a_single_validation_is_announced(monkeypatch):
    assert "only one validation" in reckon(monkeypatch, steps=10, epoch_steps=50).note
    assert "only one validation" not in reckon(monkeypatch, steps=100, epoch_steps=50).note
