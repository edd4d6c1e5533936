"""Nothing is learnt where the truth is not known: loss and gradient are exactly zero there."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.losses import LOSSES, UNKNOWN, total_loss
from napari_cellseg.core.models.registry import build_model

MAPS = {"foreground": 1, "contour": 1, "classes": 3}


@pytest.fixture(params=LOSSES.names())
def loss(request):
    return LOSSES[request.param]()


@pytest.fixture(params=MAPS)
def case(request):
    """Logits and target of one map, and where the truth is known."""
    torch.manual_seed(1)
    name, channels = request.param, MAPS[request.param]
    logits = torch.randn(2, channels, 8, 8)
    target = torch.randint(0, max(2, channels), (2, 1, 8, 8))
    known = torch.rand(2, 1, 8, 8) > 0.4
    target = torch.where(known, target, UNKNOWN)
    return name, logits, target if name == "classes" else target.float(), known


def gradient(loss, name, logits, target):
    logits = logits.clone().requires_grad_()
    value = total_loss(loss, [{name: logits}], {name: target})
    value.backward()
    return value.detach(), logits.grad


def test_the_gradient_is_zero_where_unknown_and_nowhere_else(loss, case):
    name, logits, target, known = case
    _, found = gradient(loss, name, logits, target)
    everywhere = known.expand_as(found)
    assert (found[~everywhere] == 0).all()
    assert (found[everywhere] != 0).all()


def test_what_is_predicted_where_unknown_does_not_matter(loss, case):
    name, logits, target, known = case
    other = torch.where(known, logits, logits - 5)
    for one, two in zip(
        gradient(loss, name, logits, target), gradient(loss, name, other, target), strict=True
    ):
        assert torch.equal(one, two)


def test_it_is_the_loss_of_the_known_pixels_alone(loss, case):
    name, logits, target, _ = case
    columns = torch.arange(8) < 3
    target = torch.where(columns, target.abs(), UNKNOWN)
    value, _ = gradient(loss, name, logits, target)
    torch.testing.assert_close(value, loss(logits[..., :3], target[..., :3], name))


def test_with_nothing_known_nothing_is_learnt(loss, case):
    name, logits, target, _ = case
    value, found = gradient(loss, name, logits, torch.full_like(target, UNKNOWN))
    assert value == 0
    assert (found == 0).all()


def test_side_outputs_are_masked_too(loss, case):
    name, logits, target, known = case
    side = logits.clone().requires_grad_()
    total_loss(loss, [{name: logits}, {name: side}], {name: target}).backward()
    assert (side.grad[~known.expand_as(side)] == 0).all()
    assert (side.grad != 0).any()


def test_pixels_beyond_the_receptive_field_get_no_gradient(loss):
    torch.manual_seed(0)
    network = build_model("oktay-attention-unet", {"width": 0.05}).eval()
    image = torch.rand(1, 3, 16, 512, requires_grad=True)
    target = torch.full((1, 1, 16, 512), float(UNKNOWN))
    target[..., :16] = (torch.rand(1, 1, 16, 16) > 0.5).float()
    total_loss(loss, [network(image)], {"foreground": target, "contour": target}).backward()
    assert (image.grad[..., :16] != 0).any()
    assert (image.grad[..., 320:] == 0).all()
