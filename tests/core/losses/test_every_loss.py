"""What every registered loss keeps, with its own parameters at their defaults."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.losses import LOSSES

MAPS = ("foreground", "contour", "classes")


@pytest.fixture(params=LOSSES.names())
def loss(request):
    return LOSSES[request.param]()


def logits_of(classes, strength, channels):
    """Logits that say `classes` (B, 1, Y, X), the surer the higher `strength` is."""
    if channels == 1:
        return strength * (2.0 * classes - 1)
    one_hot = torch.nn.functional.one_hot(classes[:, 0].long(), channels).movedim(-1, 1)
    return strength * (2.0 * one_hot - 1)


@pytest.mark.parametrize("logit", [-1e4, -120.0, -50.0, 0.0, 50.0, 120.0, 1e4])
@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("name", MAPS)
def test_value_and_gradient_stay_finite(loss, name, logit, truth):
    """At probabilities of 0, 1 and between, with all or nothing foreground."""
    logits = torch.full((2, 3 if name == "classes" else 1, 4, 4), -logit)
    logits[:, -1] = logit
    logits.requires_grad_()
    value = loss(logits, torch.full((2, 1, 4, 4), 2 * truth if name == "classes" else truth), name)
    value.backward()
    assert value.shape == ()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", MAPS)
def test_truth_is_best(loss, name):
    channels = 3 if name == "classes" else 1
    target = torch.randint(0, max(channels, 2), (2, 1, 16, 16)).float()
    wrong = (target + 1) % max(channels, 2)
    right = loss(logits_of(target, 20.0, channels), target, name)
    unsure = loss(torch.zeros(2, channels, 16, 16), target, name)
    assert right < unsure < loss(logits_of(wrong, 20.0, channels), target, name)


@pytest.mark.parametrize("name", MAPS)
def test_a_step_downhill_helps_even_without_foreground(loss, name):
    logits = torch.full((1, 3 if name == "classes" else 1, 16, 16), 0.3, requires_grad=True)
    before = loss(logits, torch.zeros(1, 1, 16, 16), name)
    before.backward()
    after = loss(logits - 10 * logits.grad, torch.zeros(1, 1, 16, 16), name)
    assert after < before


def test_one_object_type_is_a_binary_map(loss):
    """A softmax over background and one type is the sigmoid of the difference."""
    logits = torch.randn(2, 2, 8, 8)
    target = (torch.rand(2, 1, 8, 8) > 0.6).float()
    classes = loss(logits, target, "classes")
    binary = loss(logits[:, 1:] - logits[:, :1], target, "foreground")
    torch.testing.assert_close(classes, binary)


@pytest.mark.parametrize("name", MAPS)
def test_half_precision_is_computed_in_full(loss, name):
    logits = (8 * torch.randn(2, 3 if name == "classes" else 1, 96, 96)).bfloat16()
    target = torch.randint(0, 2, (2, 1, 96, 96)).float()
    torch.testing.assert_close(loss(logits, target, name), loss(logits.float(), target, name))
