"""The forms of layers for training on a processor: gradients as of the plain ones, names too."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import UpConvBlock
from napari_cellseg.core.models.efficientnet import EfficientNetB0
from napari_cellseg.core.models.registry import MODELS, build_model
from napari_cellseg.core.training import forms
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.forms import quicken
from napari_cellseg.core.training.freezing import freeze, switch_to_training
from napari_cellseg.core.training.precision import keep_depthwise_float32

OURS = [name for name in MODELS.names() if name not in ("unet", "unetpp", "linknet")]
IMAGE = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1))


def config(name="attention-unet", **values):
    return TrainConfig(model=name, model_params={"width": 0.1}, patch_size=64, **values)


def network(settings):
    """Return a network whose normalisations have something to do, as after a training."""
    torch.manual_seed(0)
    net = build_model(settings.model, settings.model_params)
    random = torch.Generator().manual_seed(3)
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for value, low in ((part.running_mean, -0.2), (part.running_var, 0.5)):
                value.copy_(torch.rand(value.shape, generator=random) + low)
            with torch.no_grad():
                part.bias.copy_(torch.rand(part.bias.shape, generator=random) - 0.5)
    freeze(net, settings)
    return net


def step(net, settings):
    """Return the outputs of a step, and the gradients by name."""
    switch_to_training(net, settings)
    torch.manual_seed(5)  # of what is left out by chance
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bfloat16"):
        outputs = net.supervised(IMAGE.to(next(net.parameters()).dtype))
    weights = torch.Generator().manual_seed(2)
    loss = torch.stack([
        (value.double().sigmoid() * torch.rand(value.shape, generator=weights)).mean()
        for maps in outputs for value in maps.values()
    ]).sum()  # fmt: skip
    loss.backward()
    found = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return [value for maps in outputs for value in maps.values()], found


def difference(found, wanted):
    """Return the largest difference of a gradient, in units of the largest gradient of all."""
    assert set(found) == set(wanted)
    scale = max(value.abs().max() for value in wanted.values())
    return max(float((found[n] - wanted[n]).abs().max() / scale) for n in wanted)


def same(quick, plain, settings, tolerance):
    """Compare outputs, gradients, and what is left of the step in the networks."""
    wanted, gradients = step(plain, settings)
    found, new = step(quick, settings)
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, atol=10 * tolerance, rtol=10 * tolerance)
    assert difference(new, gradients) < tolerance
    assert list(quick.state_dict()) == list(plain.state_dict())
    for one, two in zip(quick.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("values", [("none", "keep"), ("none", "adapt"), ("encoder", "adapt")])
def test_gradients_and_outputs_are_those_of_the_plain_layers(name, values, monkeypatch):
    """In float64, where nothing is left of rounding but 1e-9; oneDNN's layers have float32 only."""
    monkeypatch.setattr(forms, "can_fuse", lambda: False)
    settings = config(name, freeze=values[0], batch_norm=values[1])
    plain, quick = network(settings).double(), network(settings).double()
    quicken(quick, settings, "cpu")
    same(quick, plain, settings, 1e-8)


@pytest.mark.parametrize("freeze", ["none", "encoder", "all but heads"])
def test_so_are_those_of_layers_computed_by_onednn(freeze):
    settings = config(freeze=freeze, batch_norm="keep")
    plain, quick = network(settings), network(settings)
    quicken(quick, settings, "cpu")
    same(quick, plain, settings, 1e-5)


@pytest.mark.bfloat16
@pytest.mark.parametrize("freeze", ["none", "encoder"])
def test_in_bfloat16_they_differ_as_little_from_float32(freeze):
    exact = config(freeze=freeze, batch_norm="keep")
    reduced = exact.replace(precision="bfloat16")
    _, wanted = step(network(exact), exact)
    plain, quick = network(reduced), network(reduced)
    keep_depthwise_float32(plain)
    quicken(quick, reduced, "cpu")
    before, after = (difference(step(net, reduced)[1], wanted) for net in (plain, quick))
    assert after < max(2 * before, 0.02)


@pytest.mark.bfloat16
def test_what_is_fixed_costs_no_graph_and_keeps_its_weights():
    settings = config(freeze="encoder", batch_norm="keep", precision="bfloat16")
    net = network(settings)
    quicken(net, settings, "cpu")
    switch_to_training(net, settings)
    assert not any(feature.requires_grad for feature in net.encoder(IMAGE))
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_exchanged_weights_count_after_the_forms_are_made_again():
    settings = config(freeze="encoder", batch_norm="keep")
    net, other = network(settings), network(settings)
    with torch.no_grad():
        for value in other.encoder.parameters():
            value.mul_(1.5)
    quicken(net, settings, "cpu")
    net.load_state_dict(other.state_dict())
    quicken(net, settings, "cpu")
    for one, two in zip(step(net, settings)[0], step(other, settings)[0], strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


@pytest.mark.bfloat16
def test_depthwise_layers_are_whole_in_float32_only_in_their_backward_pass():
    settings = config(precision="bfloat16")
    net = network(settings)
    quicken(net, settings, "cpu")
    seen = []
    layer = net.encoder._blocks[1]._depthwise_conv
    layer.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    _, gradients = step(net, settings)
    assert seen == [torch.bfloat16]
    assert gradients["encoder._blocks.1._depthwise_conv.weight"].dtype == torch.float32


def test_a_layer_that_is_used_twice_leaves_the_network_as_it_is_written(monkeypatch):
    class Twice(UpConvBlock):
        def forward(self, deep, skip=None):
            return self[1](self[0](super().forward(deep, skip)[:, : self[0].in_channels]))

    settings = config(batch_norm="keep")
    net = network(settings)
    step_ = net.steps[-1].convs
    step_[0] = Twice(step_[0].deep_channels, 0, step_[0].deep_channels).eval()
    step_[1] = torch.nn.Conv2d(step_[0].deep_channels, net.head.in_channels, 1)
    wanted = net.eval()(IMAGE)
    quicken(net, settings, "cpu")
    found = net.eval()(IMAGE)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_other_devices_have_their_own_fast_forms(device):
    settings = config(batch_norm="keep")
    net = network(settings)
    quicken(net, settings, device)
    assert not any("forward" in vars(part) for part in net.modules())


def test_an_enlarging_kernel_is_the_sum_of_its_moved_copies():
    weight = torch.rand(2, 3, 3, 3)
    image = torch.rand(1, 3, 5, 4)
    large = torch.nn.functional.interpolate(image, scale_factor=2.0)
    wanted = torch.nn.functional.conv2d(large, weight, padding=1)
    kernel = forms._enlarging(weight)
    found = torch.nn.functional.conv_transpose2d(image, kernel, stride=2, padding=1)
    torch.testing.assert_close(found, wanted)


def test_the_padded_convolution_is_padded_once():
    net = EfficientNetB0(1)
    wanted = net.eval()(IMAGE[:, :1])
    assert [tuple(one.shape[-2:]) for one in wanted] == [(64 // 2**k,) * 2 for k in range(6)]
