"""The fast form of a network computes the same."""

import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference import acceleration
from napari_cellseg.core.inference.acceleration import accelerate, fold_batch_norms

nn = torch.nn


class Net(nn.Module):
    """Convolutions with norms, one after a transposed convolution, one that is shared."""

    def __init__(self, share=False):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.up_norm = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, 1, 1)
        self.share = share

    def forward(self, image):
        x = self.first(image)
        side = x.mean() if self.share else 0
        x = torch.relu_(self.norm(x))
        return {"foreground": self.head(self.up_norm(self.up(x))) + side}


def trained(net):
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return net.eval()


def norms(net):
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def output(net, image):
    with torch.inference_mode():
        return net(image)["foreground"]


def test_norms_are_folded_and_the_original_is_left_alone():
    net, image = trained(Net()), torch.rand(2, 3, 20, 24)
    before = output(net, image)
    folded = fold_batch_norms(net, 3)
    assert norms(folded) == 0
    assert norms(net) == 2
    torch.testing.assert_close(output(folded, image), before, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output(net, image), before)


def test_a_convolution_that_is_used_elsewhere_too_is_not_touched():
    net, image = trained(Net(share=True)), torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(output(fold_batch_norms(net, 3), image), output(net, image))


@pytest.mark.parametrize("native", [pytest.param(True, marks=pytest.mark.bfloat16), False])
def test_precision_follows_the_processor(monkeypatch, native):
    monkeypatch.setattr(acceleration, "has_fast_bfloat16", lambda device: native)
    net, image = trained(Net()), torch.rand(1, 3, 32, 32)
    fast = accelerate(net, 3, "cpu")
    dtype = torch.bfloat16 if native else torch.float32
    assert next(fast.parameters()).dtype == dtype
    assert net.first.weight.dtype == torch.float32
    actual = output(fast, image.to(dtype)).float()
    scale = output(net, image).abs().max()
    assert (actual - output(net, image)).abs().max() < (0.03 if native else 1e-4) * scale
