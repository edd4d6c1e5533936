"""Deformable convolution equals the printed equation and torchvision's."""

import math

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.models.blocks import DeformableConv
from napari_cellseg.core.models.blocks import deformable as module
from napari_cellseg.core.models.blocks.deformable import deformable_conv


def pixel(image, y, x):
    """Value of an image ``(Y, X)``, 0 outside."""
    height, width = image.shape
    return float(image[y, x]) if 0 <= y < height and 0 <= x < width else 0.0


def between(image, y, x):
    """Bilinear between the four pixels around a position."""
    top, left = math.floor(y), math.floor(x)
    down, right = y - top, x - left
    return (
        (1 - down) * (1 - right) * pixel(image, top, left)
        + (1 - down) * right * pixel(image, top, left + 1)
        + down * (1 - right) * pixel(image, top + 1, left)
        + down * right * pixel(image, top + 1, left + 1)
    )


def transcribed(x, offsets, weight, bias):
    """y(p0) = sum over p_n in R of w(p_n) x(p0 + p_n + dp_n), as the paper prints it (eq. 3)."""
    points = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    batch, _, height, width = x.shape
    result = torch.empty(batch, len(weight), height, width)
    for b in range(batch):
        for out in range(len(weight)):
            for y0 in range(height):
                for x0 in range(width):
                    total = float(bias[out])
                    for n, (i, j) in enumerate(points):
                        dy, dx = (float(offsets[b, 2 * n + k, y0, x0]) for k in (0, 1))
                        for channel in range(x.shape[1]):
                            seen = between(x[b, channel], y0 + i + dy, x0 + j + dx)
                            total += float(weight[out, channel, i + 1, j + 1]) * seen
                    result[b, out, y0, x0] = total
    return result


def example(batch=2, channels=3, outputs=4, size=(5, 7), spread=1.5):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    offsets = spread * draw(batch, 18, *size)
    return draw(batch, channels, *size), offsets, draw(outputs, channels, 3, 3), draw(outputs)


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (1, 6)])
def test_the_equation_as_printed(size):
    arguments = example(size=size)
    torch.testing.assert_close(
        deformable_conv(*arguments), transcribed(*arguments), rtol=1e-4, atol=1e-4
    )


def test_strips_of_rows_are_put_back_in_their_places(monkeypatch):
    arguments = example()
    whole = deformable_conv(*arguments)
    monkeypatch.setattr(module, "_STRIP", 14)  # two rows of seven: strips of 2, 2 and 1
    torch.testing.assert_close(deformable_conv(*arguments), whole)


def test_torchvision_agrees():
    pytest.importorskip("torchvision")
    x, offsets, weight, bias = arguments = example(size=(33, 70), spread=4)
    oracle = gated_import("torchvision.ops").deform_conv2d(x, offsets, weight, bias, padding=1)
    torch.testing.assert_close(deformable_conv(*arguments), oracle, rtol=1e-4, atol=1e-3)


def test_gradients_reach_everything():
    arguments = [t.double().requires_grad_() for t in example(1, 2, 2, (3, 4))]
    assert torch.autograd.gradcheck(deformable_conv, arguments, eps=1e-6, atol=1e-5)


def test_it_starts_as_a_plain_convolution():
    layer, x = DeformableConv(3, 4), torch.rand(2, 3, 9, 8)
    plain = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)
    layer(x).square().sum().backward()
    assert layer.offset.weight.grad.abs().max() > 0


def test_the_image_moves_the_kernel():
    layer = DeformableConv(1, 1)
    torch.nn.init.constant_(layer.offset.bias, 1.0)  # one down and one right
    x = torch.rand(1, 1, 8, 8)
    plain = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x)[..., 1:6, 1:6], plain[..., 2:7, 2:7], rtol=1e-4, atol=1e-5)


def trained(inputs=4, outputs=5):
    layer = DeformableConv(inputs, outputs).eval()
    torch.nn.init.normal_(layer.offset.weight, std=0.5)
    return layer


def sampling_types(monkeypatch):
    """Note the precision of every map that is sampled."""
    seen = []
    sample = torch.nn.functional.grid_sample

    def noted(x, grid, **options):
        seen.extend((x.dtype, grid.dtype))
        return sample(x, grid, **options)

    monkeypatch.setattr(torch.nn.functional, "grid_sample", noted)
    return seen


def test_a_bfloat16_network_samples_in_float32(monkeypatch):
    layer, x = trained(), torch.rand(1, 4, 16, 16)
    expected = layer(x)
    seen = sampling_types(monkeypatch)
    actual = layer.bfloat16()(x.bfloat16())
    assert actual.dtype == torch.bfloat16
    assert set(seen) == {torch.float32}
    assert (actual.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_autocast_leaves_sampling_in_float32(monkeypatch):
    layer, x = trained(), torch.rand(1, 4, 16, 16)
    expected = layer(x)
    seen = sampling_types(monkeypatch)
    with torch.autocast("cpu", torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            actual = layer(x.to(dtype))
            assert actual.dtype == dtype
            assert (actual.float() - expected).abs().max() < 0.05 * expected.abs().max()
    assert set(seen) == {torch.float32}
