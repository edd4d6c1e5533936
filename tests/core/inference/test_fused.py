"""Fused convolutions equal the plain ones."""

import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference import fused
from napari_cellseg.core.inference.acceleration import fold_batch_norms, fuse_convolutions
from napari_cellseg.core.inference.fused import BlockwiseConv, FusedConv, FusedUpConv
from napari_cellseg.core.models.blocks import UpConvBlock
from napari_cellseg.core.models.efficientnet import SamePaddedConv
from napari_cellseg.core.models.registry import build_model

nn = torch.nn

pytestmark = pytest.mark.skipif(not fused.can_fuse(), reason="this torch has no oneDNN")


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "name"), fused.ACTIVATIONS.items())
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(6, 10, 3, padding=1),
        nn.Conv2d(6, 12, 1, bias=False),
        nn.Conv2d(6, 6, 5, padding=4, dilation=2, groups=6),
        nn.Conv2d(6, 4, 3, stride=2),
        SamePaddedConv(6, 10, 3, stride=2),
        SamePaddedConv(6, 6, 3, stride=2, groups=6),
        SamePaddedConv(6, 6, 5, stride=2, groups=6),
        SamePaddedConv(6, 6, 5, groups=6),
    ],
    ids=lambda conv: f"{type(conv).__name__}-{conv.kernel_size[0]}-{conv.stride[0]}-{conv.groups}",
)
def test_an_activation_moves_into_its_convolution(kind, name, conv):
    assert FusedConv.fits(conv)
    image = torch.randn(2, 6, 20, 26)
    close(FusedConv(conv, name)(image), kind()(conv(image)))


@pytest.mark.parametrize("conv", [nn.Conv2d(2, 2, 3, padding=(0, 1)), nn.ConvTranspose2d(2, 2, 2)])
def test_what_is_not_supported_is_refused(conv):
    assert not FusedConv.fits(conv)


def folded(block):
    """Take the normalisation out, as folding does."""
    block[0].bias = nn.Parameter(torch.randn(block[0].out_channels))
    block[1] = nn.Identity()
    return block


@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 3), (9, 16)])
def test_the_enlarged_map_need_not_be_made(skip, shape):
    block = folded(UpConvBlock(7, skip, 5))
    assert FusedUpConv.fits(block)
    deep = torch.randn(2, 7, *shape)
    fine = torch.randn(2, skip, 2 * shape[0], 2 * shape[1]) if skip else None
    close(FusedUpConv(block)(deep, fine), block(deep, fine))


def test_a_block_with_its_normalisation_is_left_alone():
    assert not FusedUpConv.fits(UpConvBlock(7, 3, 5))


@pytest.mark.parametrize("shape", [(2, 2), (8, 6), (7, 8), (5, 5), (1, 1)])
@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_few_outputs_are_computed_block_by_block(shape, outputs, layout):
    conv = nn.Conv2d(6, outputs, 3, padding=1)
    assert BlockwiseConv.fits(conv)
    image = torch.randn(2, 6, *shape).contiguous(memory_format=layout)
    close(BlockwiseConv(conv.to(memory_format=layout))(image), conv(image))


def kinds(network):
    return {type(module) for module in network.modules()}


@pytest.mark.parametrize("name", ["attention-unet", "attention-linknet"])
def test_a_network_is_fused_as_a_whole(name):
    network = build_model(name, {"width": "small"}).eval()
    plain = fold_batch_norms(network, 3)
    fast = fuse_convolutions(plain, 3)
    assert FusedConv in kinds(fast)
    assert (FusedUpConv in kinds(fast)) == (name == "attention-unet")
    assert not any(isinstance(m, nn.SiLU) for m in fast.modules())
    assert not kinds(plain) & {FusedConv, FusedUpConv, BlockwiseConv}
    image = torch.rand(1, 3, 70, 100)
    for map_name, logits in network(image).items():
        torch.testing.assert_close(fast(image)[map_name], logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_a_processor_that_refuses_keeps_the_plain_network(monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error("could not create a primitive")

    monkeypatch.setattr(fused, "_convolve", refuse)
    network = fold_batch_norms(build_model("attention-unet", {"width": "small"}), 3)
    assert fuse_convolutions(network, 3) is network


def test_a_network_whose_results_would_change_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(fused, "_convolve", lambda x, conv, *args, **kwargs: conv_of_ones(x, conv))
    network = fold_batch_norms(build_model("attention-unet", {"width": "small"}), 3)
    assert fuse_convolutions(network, 3) is network


def conv_of_ones(x, conv):
    geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)
    return torch.ones_like(nn.functional.conv2d(x, conv.weight, None, *geometry))
