"""Losses against values worked by hand, and at the ends of their range."""

import math

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.losses import LOSSES, ComboLoss, ComboParams, total_loss


def by_hand(p, y, alpha, beta, smooth):
    entropy = -sum(
        beta * t * math.log(q) + (1 - beta) * (1 - t) * math.log(1 - q)
        for q, t in zip(p, y, strict=True)
    ) / len(p)
    overlap = sum(q * t for q, t in zip(p, y, strict=True))
    dice = (2 * overlap + smooth) / (sum(p) + sum(y) + smooth)
    return alpha * entropy - (1 - alpha) * dice


@pytest.mark.parametrize(
    ("name", "beta"), [("foreground", 0.3), ("contour", 0.8), ("classes", 0.3)]
)
def test_combo_equals_equation_one(name, beta):
    p, y = [0.9, 0.2, 0.6, 0.4], [1.0, 0.0, 1.0, 0.0]
    loss = ComboLoss(ComboParams(alpha=0.7, beta=0.3, contour_beta=0.8, smooth=0.5))
    logits = torch.logit(torch.tensor(p)).reshape(1, 1, 2, 2)
    value = loss(logits, torch.tensor(y).reshape(1, 1, 2, 2), name)
    assert value.item() == pytest.approx(by_hand(p, y, 0.7, beta, 0.5), rel=1e-5)


def test_combo_without_cross_entropy_is_dice_of_smp():
    smp = pytest.importorskip("segmentation_models_pytorch")
    logits, target = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    oracle = smp.losses.DiceLoss("binary")(logits, target)
    ours = ComboLoss(ComboParams(alpha=0, smooth=1e-9))(logits, target, "foreground")
    assert ours.item() == pytest.approx(oracle.item() - 1, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("logit", [-1e4, -50.0, 0.0, 50.0, 1e4])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_value_and_gradient_stay_finite(name, logit, truth):
    loss = LOSSES[name](LOSSES[name].Params())
    logits = torch.full((1, 1, 4, 4), logit, requires_grad=True)
    value = loss(logits, torch.full((1, 1, 4, 4), truth), "foreground")
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_truth_is_best(name):
    loss = LOSSES[name](LOSSES[name].Params())
    target = (torch.rand(1, 1, 16, 16) > 0.5).float()
    right = loss(40 * (target - 0.5), target, "foreground")
    assert right < loss(torch.zeros_like(target), target, "foreground")
    assert right < loss(-40 * (target - 0.5), target, "foreground")


def test_total_is_the_mean_over_maps():
    loss = ComboLoss()
    logits = {n: torch.randn(1, 1, 4, 4) for n in ("foreground", "contour")}
    targets = {n: torch.ones(1, 1, 4, 4) for n in logits}
    parts = [loss(logits[n], targets[n], n) for n in logits]
    assert total_loss(loss, logits, targets).item() == pytest.approx(
        (parts[0].item() + parts[1].item()) / 2
    )
