"""The combo loss against eq. 1 worked by hand."""

import math

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.losses import total_loss
from napari_cellseg.core.losses.combo import ComboLoss, ComboParams


def by_hand(p, y, alpha, beta, smooth):
    entropy = -sum(
        beta * t * math.log(q) + (1 - beta) * (1 - t) * math.log(1 - q)
        for q, t in zip(p, y, strict=True)
    ) / len(p)
    overlap = sum(q * t for q, t in zip(p, y, strict=True))
    dice = (2 * overlap + smooth) / (sum(p) + sum(y) + smooth)
    return alpha * entropy - (1 - alpha) * dice


@pytest.mark.parametrize(("name", "beta"), [("foreground", 0.3), ("contour", 0.8)])
def test_combo_equals_equation_one(name, beta):
    p, y = [0.9, 0.2, 0.6, 0.4], [1.0, 0.0, 1.0, 0.0]
    loss = ComboLoss(ComboParams(alpha=0.7, beta=0.3, contour_beta=0.8, smooth=0.5))
    logits = torch.logit(torch.tensor(p)).reshape(1, 1, 2, 2)
    value = loss(logits, torch.tensor(y).reshape(1, 1, 2, 2), name)
    assert value.item() == pytest.approx(by_hand(p, y, 0.7, beta, 0.5), rel=1e-5)


def test_combo_of_classes():
    """Three pixels of background, type 1 and type 2, whose probabilities are .5, .6 and .2."""
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.1, 0.7, 0.2]])
    target = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 1, 1, 3)
    loss = ComboLoss(ComboParams(alpha=0.7, beta=0.3, smooth=0.5))
    value = loss(p.log().T.reshape(1, 3, 1, 3), target, "classes")
    entropy = -(0.7 * math.log(0.5) + 0.3 * math.log(0.6) + 0.3 * math.log(0.2)) / 3
    first, second = (2 * 0.6 + 0.5) / (1.6 + 1 + 0.5), (2 * 0.2 + 0.5) / (0.7 + 1 + 0.5)
    assert value.item() == pytest.approx(0.7 * entropy - 0.3 * (first + second) / 2, rel=1e-5)


def test_combo_without_cross_entropy_is_dice_of_smp():
    smp = pytest.importorskip("segmentation_models_pytorch")
    logits, target = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    oracle = smp.losses.DiceLoss("binary")(logits, target)
    ours = ComboLoss(ComboParams(alpha=0, smooth=1e-9))(logits, target, "foreground")
    assert ours.item() == pytest.approx(oracle.item() - 1, abs=1e-5)


def test_total_is_the_mean_over_maps():
    loss = ComboLoss()
    logits = {n: torch.randn(1, 1, 4, 4) for n in ("foreground", "contour")}
    targets = {n: torch.ones(1, 1, 4, 4) for n in logits}
    parts = [loss(logits[n], targets[n], n) for n in logits]
    assert total_loss(loss, [logits], targets).item() == pytest.approx(
        (parts[0].item() + parts[1].item()) / 2
    )
