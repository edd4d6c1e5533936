"""Each form of gate equals its equation, worked out pixel by pixel."""

import math

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import AttentionGate, ResidualGate, UNetStep


def matrix(conv):
    return conv.weight[:, :, 0, 0]


def test_a_fine_gate_equals_the_equation_with_the_enlarged_gating_map():
    torch.manual_seed(0)
    gate = AttentionGate(4, 6, inner=3, fine=True)
    skip, gating = torch.rand(2, 4, 6, 10), torch.rand(2, 6, 3, 5)
    expected = torch.empty(2, 1, 6, 10)
    for b in range(2):
        for y in range(6):
            for x in range(10):
                inner = matrix(gate.of_skip) @ skip[b, :, y, x]
                inner = inner + matrix(gate.of_gating) @ gating[b, :, y // 2, x // 2]
                inner = torch.relu(inner + gate.of_gating.bias)
                expected[b, 0, y, x] = torch.sigmoid(matrix(gate.psi)[0] @ inner + gate.psi.bias[0])
    torch.testing.assert_close(gate.coefficients(skip, gating), expected)
    torch.testing.assert_close(gate(skip, gating), skip * expected)


def test_the_two_grids_of_a_gate_agree_on_maps_of_equal_size():
    coarse, fine = AttentionGate(4, 6), AttentionGate(4, 6, fine=True)
    fine.load_state_dict(coarse.state_dict())
    skip, gating = torch.rand(1, 4, 5, 7), torch.rand(1, 6, 5, 7)
    torch.testing.assert_close(fine(skip, gating), coarse(skip, gating))
    large = torch.rand(1, 4, 10, 14)
    assert not torch.allclose(fine(large, gating), coarse(large, gating))


def test_a_residual_gate_equals_the_equation():
    torch.manual_seed(0)
    gate = ResidualGate(4, 6)
    x, gating = torch.randn(2, 4, 3, 5), torch.randn(2, 6, 3, 5)
    expected = torch.empty_like(x)
    for b in range(2):
        for row in range(3):
            for column in range(5):
                pixel = x[b, :, row, column]
                inner = matrix(gate.of_input) @ pixel
                inner = inner + matrix(gate.of_gating) @ gating[b, :, row, column]
                alpha = torch.sigmoid(inner + gate.of_gating.bias)
                expected[b, :, row, column] = (1 + alpha) * pixel
    torch.testing.assert_close(gate(x, gating), expected)


def test_a_residual_gate_in_numbers():
    """W_x = 2, W_g = -1, b = 0.5, x = 3, g = 4: sigmoid(6 - 4 + 0.5) = 0.924142."""
    gate = ResidualGate(1, 1)
    for parameter, value in zip(gate.parameters(), (2.0, -1.0, 0.5), strict=True):
        torch.nn.init.constant_(parameter, value)
    gated = gate(torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), 4.0))
    assert math.isclose(gated.item(), 3 * 1.924142, rel_tol=1e-6)


@pytest.mark.parametrize(("bias", "factor"), [(-1e4, 1), (1e4, 2)])
def test_a_residual_gate_lies_between_once_and_twice(bias, factor):
    gate = ResidualGate(3, 2)
    torch.nn.init.constant_(gate.of_gating.bias, bias)
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(gate(x, torch.rand(1, 2, 4, 4)), factor * x)


def test_a_step_gates_its_skip_by_the_coarse_map():
    step = UNetStep(6, 4, 8).eval()
    deep, skip = torch.rand(1, 6, 4, 4), torch.rand(1, 4, 8, 8)
    plain = UNetStep(6, 4, 8, attention=False).eval()
    plain.load_state_dict(step.state_dict(), strict=False)
    assert plain.gate is None
    torch.testing.assert_close(step(deep, skip), plain(deep, step.gate(skip, deep)))
    assert not torch.allclose(step(deep, skip), plain(deep, skip))
