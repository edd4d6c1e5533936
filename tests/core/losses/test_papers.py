"""The losses of HARU-Net, U-Net++ with attention and IAU-Net, by hand and against oracles."""

import math

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.losses.bce_dice import BceDiceLoss, BceDiceParams
from napari_cellseg.core.losses.dice_focal import DiceFocalLoss, DiceFocalParams
from napari_cellseg.core.losses.focal_tversky import FocalTverskyLoss, FocalTverskyParams

P, Y = [0.9, 0.2, 0.6, 0.4], [1.0, 0.0, 1.0, 0.0]
# two types besides background; the rows are the pixels of background, type 1 and type 2
CLASSES = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.1, 0.7, 0.2]]


def binary():
    logits = torch.logit(torch.tensor(P)).reshape(2, 1, 1, 2)
    return logits, torch.tensor(Y).reshape(2, 1, 1, 2), "foreground"


def classes():
    logits = torch.tensor(CLASSES).log().T.reshape(1, 3, 1, 3)
    return logits, torch.tensor([0.0, 1.0, 2.0]).reshape(1, 1, 1, 3), "classes"


def random_maps(channels=1):
    target = torch.randint(0, max(channels, 2), (3, 1, 12, 10))
    return torch.randn(3, channels, 12, 10), target.float()


class TestBceDice:
    def test_binary(self):
        entropy = -(math.log(0.9) + math.log(0.8) + math.log(0.6) + math.log(0.6)) / 4
        squares = 0.81 + 0.04 + 0.36 + 0.16
        dice = (2 * 1.5 + 0.5) / (squares + 2 + 0.5)
        loss = BceDiceLoss(BceDiceParams(dice_weight=3, smooth=0.5))
        assert loss(*binary()).item() == pytest.approx(entropy + 3 * (1 - dice), rel=1e-5)

    def test_classes(self):
        entropy = -(math.log(0.5) + math.log(0.6) + math.log(0.2)) / 3
        first = (2 * 0.6 + 1) / (0.09 + 0.36 + 0.49 + 1 + 1)
        second = (2 * 0.2 + 1) / (0.04 + 0.09 + 0.04 + 1 + 1)
        expected = entropy + 1 - (first + second) / 2
        assert BceDiceLoss()(*classes()).item() == pytest.approx(expected, rel=1e-5)

    def test_cross_entropy_is_torchs(self):
        loss = BceDiceLoss(BceDiceParams(dice_weight=0))
        logits, target = random_maps()
        oracle = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        torch.testing.assert_close(loss(logits, target, "foreground"), oracle)
        logits, target = random_maps(4)
        oracle = torch.nn.functional.cross_entropy(logits, target[:, 0].long())
        torch.testing.assert_close(loss(logits, target, "classes"), oracle)


class TestDiceFocal:
    def test_binary(self):
        right = [0.9, 0.8, 0.6, 0.6]
        share = [0.8, 0.2, 0.8, 0.2]
        focal = sum(
            -a * (1 - p) ** 1.5 * math.log(p) for a, p in zip(share, right, strict=True)
        ) / len(right)
        dice = (2 * 1.5 + 0.25) / (2.1 + 2 + 0.5)
        loss = DiceFocalLoss(DiceFocalParams(alpha=0.8, gamma=1.5, smooth_up=0.25, smooth_down=0.5))
        assert loss(*binary()).item() == pytest.approx(0.5 * focal + 0.5 * (1 - dice), rel=1e-5)

    def test_classes(self):
        focal = -sum((1 - p) ** 2 * math.log(p) for p in (0.5, 0.6, 0.2)) / 3
        first, second = (2 * 0.6 + 1) / (1.6 + 1 + 1), (2 * 0.2 + 1) / (0.7 + 1 + 1)
        expected = 0.5 * focal + 0.5 * (1 - (first + second) / 2)
        assert DiceFocalLoss()(*classes()).item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (None, 2.0), (0.6, 0.5)])
    def test_focal_part_is_torchvisions(self, alpha, gamma):
        ops = pytest.importorskip("torchvision").ops
        logits, target = random_maps()
        loss = DiceFocalLoss(
            DiceFocalParams(focal_weight=1, dice_weight=0, alpha=alpha, gamma=gamma)
        )
        oracle = ops.sigmoid_focal_loss(
            logits, target, -1 if alpha is None else alpha, gamma, reduction="mean"
        )
        torch.testing.assert_close(loss(logits, target, "foreground"), oracle)

    def test_both_parts_are_smps(self):
        losses = pytest.importorskip("segmentation_models_pytorch").losses
        logits, target = random_maps(4)
        index = target[:, 0].long()
        values = {"smooth_up": 0, "smooth_down": 1e-9}
        dice = DiceFocalLoss(DiceFocalParams(focal_weight=0, dice_weight=1, **values))
        oracle = losses.DiceLoss("multiclass", classes=[1, 2, 3])(logits, index)
        torch.testing.assert_close(dice(logits, target, "classes"), oracle)
        logits, target = random_maps()
        focal = DiceFocalLoss(DiceFocalParams(focal_weight=1, dice_weight=0, gamma=3))
        oracle = losses.FocalLoss("binary", gamma=3.0)(logits, target)
        torch.testing.assert_close(focal(logits, target, "foreground"), oracle)

    @pytest.mark.parametrize("name", ["foreground", "classes"])
    def test_gradient_is_finite_for_any_focus(self, name):
        """1 - p_t rounds to 0 long before its power has a finite slope."""
        loss = DiceFocalLoss(DiceFocalParams(gamma=0.3))
        logits = torch.tensor([-200.0, 200.0]).reshape(1, 2, 1, 1)
        logits = (logits if name == "classes" else logits[:, 1:]).requires_grad_()
        loss(logits, torch.ones(1, 1, 1, 1), name).backward()
        assert torch.isfinite(logits.grad).all()


class TestFocalTversky:
    @pytest.mark.parametrize(("name", "alpha"), [("foreground", 0.7), ("contour", 0.2)])
    def test_binary(self, name, alpha):
        found, false, missed = 1.5, 0.6, 0.5
        index = (found + 0.1) / (found + alpha * false + (1 - alpha) * missed + 0.1)
        loss = FocalTverskyLoss(FocalTverskyParams(contour_alpha=0.2, smooth=0.1))
        logits, target, _ = binary()
        value = loss(logits, target, name).item()
        assert value == pytest.approx((1 - index) ** 0.75, rel=1e-5)

    def test_classes(self):
        first = (0.6 + 1) / (0.6 + 0.7 * 1.0 + 0.3 * 0.4 + 1)
        second = (0.2 + 1) / (0.2 + 0.7 * 0.5 + 0.3 * 0.8 + 1)
        expected = ((1 - first) ** 0.75 + (1 - second) ** 0.75) / 2
        assert FocalTverskyLoss()(*classes()).item() == pytest.approx(expected, rel=1e-5)

    def test_smp_agrees(self):
        losses = pytest.importorskip("segmentation_models_pytorch").losses
        logits, target = random_maps()
        loss = FocalTverskyLoss(FocalTverskyParams(alpha=0.6, gamma=1.3, smooth=1e-6))
        oracle = losses.TverskyLoss("binary", alpha=0.6, beta=0.4, gamma=1.3)(logits, target)
        torch.testing.assert_close(loss(logits, target, "foreground"), oracle)
        logits, target = random_maps(3)
        loss = FocalTverskyLoss(FocalTverskyParams(alpha=0.6, gamma=1, smooth=1e-6))
        oracle = losses.TverskyLoss("multiclass", classes=[1, 2], alpha=0.6, beta=0.4)
        torch.testing.assert_close(
            loss(logits, target, "classes"), oracle(logits, target[:, 0].long())
        )

    def test_larger_alpha_favours_precision(self):
        target = torch.zeros(1, 1, 1, 20)
        target[..., :10] = 1
        greedy, shy = torch.full_like(target, -9.0), torch.full_like(target, -9.0)
        greedy[..., :14], shy[..., :6] = 9, 9
        precise = FocalTverskyLoss(FocalTverskyParams(alpha=0.9))
        complete = FocalTverskyLoss(FocalTverskyParams(alpha=0.1))
        assert precise(shy, target, "foreground") < precise(greedy, target, "foreground")
        assert complete(greedy, target, "foreground") < complete(shy, target, "foreground")
