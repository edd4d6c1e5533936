"""HARU-Net, U²-Net and their blocks do what their equations and figures say."""

import pytest

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.inference import acceleration
from napari_cellseg.core.inference.fused import FusedConv, can_fuse
from napari_cellseg.core.models.blocks import (
    CBAM,
    ChannelAttention,
    ContextFusion,
    ConvBlock,
    ResidualUBlock,
    SpatialAttention,
    enlarge,
)
from napari_cellseg.core.models.haru_net import _PlainFusion
from napari_cellseg.core.models.registry import build_model

nn = torch.nn
functional = torch.nn.functional
NARROW = 0.05


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def trained(network):
    """Give the normalisations statistics that are not the identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data = torch.rand(tensor.shape) + 0.5
    return network.eval()


def count(name, **params):
    with torch.device("meta"):
        return sum(p.numel() for p in build_model(name, params).parameters())


# Blocks


def channel_weights(attention, x):
    """Eq. 2 of Woo et al., image by image, with matrices."""
    first, second = (attention.mlp[k].weight[:, :, 0, 0] for k in (0, 2))
    weights = []
    for image in x:
        average = torch.stack([plane.sum() / plane.numel() for plane in image])
        maximum = torch.stack([plane.max() for plane in image])
        hidden = [torch.clamp(first @ v, min=0) for v in (average, maximum)]
        weights.append(1 / (1 + torch.exp(-(second @ hidden[0] + second @ hidden[1]))))
    return torch.stack(weights)[:, :, None, None]


def test_channel_attention_equals_the_equation():
    attention, x = ChannelAttention(6, 5), torch.randn(2, 6, 4, 7)
    expected = channel_weights(attention, x)
    torch.testing.assert_close(attention.coefficients(x), expected)
    torch.testing.assert_close(attention(x), expected * x)
    assert expected.std() > 0.01, "the weights differ"


@pytest.mark.parametrize(("channels", "inner"), [(256, 16), (64, 4), (16, 4)])
def test_channel_attention_narrows_to_a_sixteenth_but_not_below_four(channels, inner):
    assert ChannelAttention(channels).mlp[0].weight.shape == (inner, channels, 1, 1)


def test_spatial_attention_equals_the_equation():
    attention, x = SpatialAttention(), torch.randn(2, 5, 9, 11)
    planes = torch.stack([x.sum(1) / 5, x.max(1).values], dim=1)
    padded = torch.zeros(2, 2, 15, 17)
    padded[:, :, 3:12, 3:14] = planes
    expected = torch.empty(2, 1, 9, 11)
    for y in range(9):
        for column in range(11):
            window = padded[:, :, y : y + 7, column : column + 7]
            expected[:, 0, y, column] = (window * attention.conv.weight[0]).sum((1, 2, 3))
    expected = 1 / (1 + torch.exp(-expected))
    torch.testing.assert_close(attention.coefficients(x), expected)
    torch.testing.assert_close(attention(x), expected * x)


def test_cbam_attends_to_channels_first():
    block, x = CBAM(8), torch.randn(2, 8, 6, 5)
    assert [type(part) for part in block] == [ChannelAttention, SpatialAttention]
    channel, spatial = block
    weighed = channel.coefficients(x) * x
    torch.testing.assert_close(block(x), spatial.coefficients(weighed) * weighed)
    assert (block(x) - channel(spatial(x))).abs().max() > 1e-4, "the order matters"


@pytest.mark.slow
def test_cbam_equals_timms():
    pytest.importorskip("timm")
    theirs = gated_import("timm.layers.cbam").CbamModule(64).eval()  # norm: the identity
    ours = CBAM(64)
    channel, spatial = ours
    channel.mlp[0].weight, channel.mlp[2].weight = (
        theirs.channel.fc1.weight,
        theirs.channel.fc2.weight,
    )
    spatial.conv.weight = theirs.spatial.conv.conv.weight
    x = torch.randn(2, 64, 9, 8)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def twice(x):
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def test_a_pooling_block_is_the_u_of_the_figure():
    block = trained(ResidualUBlock(4, 3, 5, 6))
    x = torch.rand(2, 3, 12, 8)
    entered = block.enter(x)
    one = block.down[0](entered)
    two = block.down[1](functional.max_pool2d(one, 2))
    three = block.down[2](functional.max_pool2d(two, 2))
    deep = block.up[0](torch.cat([block.bottom(three), three], 1))
    deep = block.up[1](torch.cat([twice(deep), two], 1))
    deep = block.up[2](torch.cat([twice(deep), one], 1))
    assert deep.shape == entered.shape == (2, 6, 12, 8)
    torch.testing.assert_close(block(x), deep + entered)


def test_a_dilated_block_keeps_the_size():
    block = trained(ResidualUBlock(4, 3, 5, 6, dilated=True))
    x = torch.rand(2, 3, 5, 7)  # sides need not be even
    entered = block.enter(x)
    one = block.down[0](entered)
    two = block.down[1](one)
    three = block.down[2](two)
    deep = block.up[0](torch.cat([block.bottom(three), three], 1))
    deep = block.up[1](torch.cat([deep, two], 1))
    deep = block.up[2](torch.cat([deep, one], 1))
    torch.testing.assert_close(block(x), deep + entered)


@pytest.mark.parametrize(
    ("height", "dilated", "expected"),
    [
        (7, False, [1] * 7 + [2] + [1] * 6),
        (5, False, [1] * 5 + [2] + [1] * 4),
        (4, True, [1, 1, 2, 4, 8, 4, 2, 1]),
    ],
)
def test_dilations_are_those_of_u2net(height, dilated, expected):
    block = ResidualUBlock(height, 3, 8, 4, dilated)
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert [conv.dilation[0] for conv in convs] == expected
    assert [conv.out_channels for conv in convs] == [4] + [8] * (2 * height - 2) + [4]


def test_a_dilated_convolution_keeps_the_size():
    for kernel in (1, 3, 5):
        assert ConvBlock(2, 3, kernel, dilation=4)(torch.rand(2, 2, 9, 10)).shape[2:] == (9, 10)


def test_context_fusion_weighs_then_convolves():
    block, sides = ContextFusion(6, 2), torch.randn(2, 6, 5, 4)
    assert block.attention.mlp[0].weight.shape == (6, 6, 1, 1)
    weighed = channel_weights(block.attention, sides) * sides
    expected = functional.conv2d(weighed, block.conv.weight, block.conv.bias, padding=1)
    assert block.conv.kernel_size == (3, 3)
    torch.testing.assert_close(block(sides), expected)


# The whole


def test_the_body_has_the_published_number_of_parameters():
    """U²-Net's own code has 44,009,869, with biases before normalisations, that these undo."""
    with torch.device("meta"):
        body = build_model("u2net", {"maps": ("foreground",)})
    convs = [m for m in body.modules() if isinstance(m, nn.Conv2d)]
    biases = sum(conv.out_channels for conv in convs if conv.bias is None)
    assert sum(p.numel() for p in body.parameters()) + biases == 44_009_869


def test_widths():
    assert count("haru-net", width=1.0) == count("haru-net")
    assert count("haru-net", width="small") == count("haru-net", width=0.25)
    assert count("haru-net", width="small") < count("haru-net") / 10
    with torch.device("meta"):
        small = build_model("haru-net", {"width": "small"})
    outputs = [block.enter[0].out_channels for block in (*small.encoder, *small.decoder)]
    assert outputs == [16, 32, 64, 128, 128, 128, 128, 64, 32, 16, 16]


@pytest.mark.parametrize(
    ("attention", "fusion", "row"),
    [
        ("none", False, "U-Net + RSU (U2Net)"),
        ("none", True, "U-Net + RSU + CF-Block"),
        ("channel-deepest", False, "U-Net + RSU + CBAM"),
        ("channel-deepest", True, "U-Net + RSU + CBAM + CF-Block"),
        ("everywhere", True, "CBAM at all levels, section 4.5.2"),
    ],
)
def test_a_switch_changes_its_own_part_alone(attention, fusion, row):
    with torch.device("meta"):
        plain = build_model("u2net")
        network = build_model("haru-net", {"attention": attention, "fusion": fusion})
    plain, state = ({k: v.shape for k, v in n.state_dict().items()} for n in (plain, network))
    common = plain.keys() & state
    changed = {name.split(".")[0] for name in plain.keys() ^ state.keys()}
    changed |= {name.split(".")[0] for name in common if plain[name] != state[name]}
    expected = {"attention": attention != "none", "fusion": fusion}
    assert changed == {name for name, on in expected.items() if on}, row
    kinds = {
        "none": [nn.Identity] * 6,
        "channel-deepest": [CBAM] * 5 + [ChannelAttention],
        "everywhere": [CBAM] * 6,
    }
    assert [type(module) for module in network.attention] == kinds[attention]
    assert {type(m) for m in network.fusion.values()} == {ContextFusion if fusion else _PlainFusion}


def test_without_attention_and_fusion_it_is_u2net():
    plain = trained(build_model("u2net", {"width": NARROW}))
    switched_off = {"attention": "none", "fusion": False}
    haru = build_model("haru-net", {"width": NARROW, **switched_off}).eval()
    haru.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 40, 64)
    with torch.inference_mode():
        torch.testing.assert_close(haru(image), plain(image))


def recorded(modules):
    """Return a list that will hold (input, output) of each call of `modules`."""
    calls = []
    for module in modules:
        module.register_forward_hook(lambda m, inputs, output: calls.append((inputs[0], output)))
    return calls


def test_stages_are_joined_as_in_the_figure():
    network = trained(build_model("haru-net", {"width": NARROW}))
    encoder, attention, decoder, sides = (
        recorded(part)
        for part in (network.encoder, network.attention, network.decoder, network.sides)
    )
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 96))
    for (above, _), (_, output) in zip(encoder[1:], encoder[:-1], strict=True):
        # The encoder goes on from what attention has not touched.
        torch.testing.assert_close(above, functional.max_pool2d(output, 2))
    for (given, _), (_, output) in zip(attention, encoder, strict=True):
        torch.testing.assert_close(given, output)
    attended = [output for _, output in attention]
    deep = attended.pop()
    torch.testing.assert_close(sides[0][0], deep)
    for (joined, output), (side, _) in zip(decoder, sides[1:], strict=True):
        torch.testing.assert_close(joined, torch.cat([twice(deep), attended.pop()], 1))
        torch.testing.assert_close(side, output)
        deep = output
    assert [logits.shape[2:] for _, logits in sides] == [
        (64 // s, 96 // s) for s in (32, 16, 8, 4, 2, 1)
    ]


@pytest.mark.parametrize("name", ["haru-net", "u2net"])
def test_all_side_maps_are_supervised(name):
    """Eq. 3: for each of two branches the fused map and six side maps."""
    network = trained(build_model(name, {"width": NARROW}))
    sides = recorded(network.sides)
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        fused, *aside = network.supervised(image)
        torch.testing.assert_close(fused, network(image))
        assert len(aside) == 6
        for k, maps in enumerate(aside):  # fine to coarse
            logits = enlarge(sides[5 - k][1], 2**k)
            torch.testing.assert_close(
                maps, {"foreground": logits[:, :1], "contour": logits[:, 1:]}
            )
        for branch, fuse in network.fusion.items():
            expected = fuse(torch.cat([maps[branch] for maps in aside], 1))
            torch.testing.assert_close(fused[branch], expected)


def test_branches_are_as_many_as_maps_and_independent():
    network = trained(build_model("haru-net", {"width": NARROW}))
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        before = network.supervised(image)
        for side in network.sides:
            side.weight[1] += 1
        network.fusion["contour"].conv.weight += 1
        after = network.supervised(image)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new["foreground"], old["foreground"])
        assert (new["contour"] - old["contour"]).abs().max() > 0.1


def test_a_branch_of_classes_fuses_all_its_side_maps():
    values = {"width": NARROW, "maps": ("foreground", "classes"), "types": ("a", "b")}
    network = build_model("haru-net", values)
    assert network.fusion["classes"].conv.weight.shape == (3, 18, 3, 3)
    assert network.fusion["foreground"].conv.weight.shape == (1, 6, 3, 3)
    outputs = network.supervised(torch.rand(2, 3, 64, 64))
    assert {maps["classes"].shape for maps in outputs} == {(2, 3, 64, 64)}


@pytest.mark.parametrize("attention", ["channel-deepest", "everywhere", "none"])
def test_every_weight_gets_a_finite_gradient(attention):
    network = build_model("haru-net", {"width": NARROW, "attention": attention}).train()
    outputs = network.supervised(torch.rand(2, 3, 64, 64))
    sum(logits.square().mean() for maps in outputs for logits in maps.values()).backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("name", ["haru-net", "u2net"])
def test_the_accelerated_network_computes_the_same(monkeypatch, name):
    monkeypatch.setattr(acceleration, "has_fast_bfloat16", lambda device: False)
    network = trained(build_model(name, {"width": NARROW}))
    fast = acceleration.accelerate(network, 3, "cpu")
    kinds = [type(module) for module in fast.modules()]
    assert nn.BatchNorm2d not in kinds
    if can_fuse():
        # All convolutions of the body; the small MLPs run twice and are left alone.
        blocks = [m for m in network.modules() if isinstance(m, ConvBlock)]
        assert kinds.count(FusedConv) == len(blocks) == 112
    image = torch.rand(1, 3, 64, 64)  # one cell: global poolings stay as they are
    with torch.inference_mode():
        for branch, logits in network(image).items():
            scale = float(logits.abs().max())
            torch.testing.assert_close(fast(image)[branch], logits, rtol=1e-3, atol=1e-4 * scale)


def test_an_unknown_attention_is_explained():
    with pytest.raises(SettingsError, match="attention"):
        build_model("haru-net", {"attention": "some"})
