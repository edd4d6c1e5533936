"""IAU-Net, U-Net++ with gates and Attention U-Net keep what their papers print."""

import itertools
import typing

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.inference import acceleration
from napari_cellseg.core.models.blocks import (
    AttentionGate,
    DeformableConv,
    ResidualBlock,
    ResidualGate,
)
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.models.unetpp_attention import GateName

UNETS = ("iau-net", "unetpp-attention", "oktay-attention-unet")
ALL_GATES = typing.get_args(GateName)


def count(model):
    return sum(p.numel() for p in model.parameters())


def modules(model, kind):
    return {name for name, module in model.named_modules() if isinstance(module, kind)}


def tiny(name, **values):
    """Build a network of a few channels, all weights random, as after training."""
    torch.manual_seed(0)
    model = build_model(name, {"width": 0.05, **values}).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
        if isinstance(module, DeformableConv):
            torch.nn.init.normal_(module.offset.weight, std=0.05)
    return model


def image(*size, channels=3):
    return torch.rand(
        (1, channels, *(size or (48, 64))), generator=torch.Generator().manual_seed(1)
    )


@torch.no_grad()
def logits(model, x=None):
    return torch.cat(list(model(image() if x is None else x).values()), dim=1)


def differ_only_in(with_part, without, *parts):
    """Whether one network is the other and these parts; copy the common weights over."""
    own = {n for n in with_part.state_dict() if any(part in n for part in parts)}
    common = {n: v for n, v in with_part.state_dict().items() if n not in own}
    without.load_state_dict(common)  # strict: not a weight more, not one less
    return bool(own)


def block(inputs, outputs, kernel=3):
    """Parameters of a convolution without bias and its normalisation."""
    return inputs * outputs * kernel**2 + 2 * outputs


def conv(inputs, outputs, kernel):
    return inputs * outputs * kernel**2 + outputs


def double(inputs, outputs):
    return block(inputs, outputs) + block(outputs, outputs)


def iau_size(w):
    levels = list(itertools.pairwise([3, *w]))
    encoder = sum(double(i, o) + block(i, o, 1) for i, o in levels)
    steps = levels[1:]  # the same pairs, from the coarse one to the fine one
    up = sum(conv(deep, o, 2) for o, deep in steps)
    gates = sum(o * o + conv(o, o, 1) for o, _ in steps)
    decoder = sum(double(2 * o, o) + block(2 * o, o, 1) for o, _ in steps)
    return (
        encoder + up + gates + decoder + conv(w[0], 18, 3) + conv(w[0], w[0], 3) + conv(w[0], 2, 1)
    )


def unetpp_size(w):
    encoder = sum(double(i, o) for i, o in itertools.pairwise([3, *w]))
    nodes = sum(double(j * w[i] + w[i + 1], w[i]) for j in range(1, 5) for i in range(5 - j))
    gates = sum(w[i] * w[i] + conv(w[i + 1], w[i], 1) + conv(w[i], 1, 1) for i in (2, 1, 0))
    return encoder + nodes + gates + conv(w[0], 2, 1)


def oktay_size(w):
    levels = list(itertools.pairwise([3, *w]))
    steps = levels[1:]
    encoder = sum(double(i, o) for i, o in levels)
    decoder = sum(double(deep + o, o) for o, deep in steps)
    gates = sum(o * o // 2 + conv(deep, o // 2, 1) + conv(o // 2, 1, 1) for o, deep in steps)
    return encoder + decoder + gates + conv(w[0], 2, 1)


@pytest.mark.parametrize(
    ("name", "size", "first"),
    [
        ("iau-net", iau_size, 32),
        ("unetpp-attention", unetpp_size, 32),
        ("oktay-attention-unet", oktay_size, 64),
    ],
)
def test_numbers_of_parameters(name, size, first):
    with torch.device("meta"):
        counts = [count(build_model(name, {"width": w})) for w in ("base", "small", 1.0, 0.75)]
    widths = [[c * 2**k for k in range(5)] for c in (first, 16, first, 0.75 * first)]
    assert counts == [size(w) for w in widths]


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("native", [pytest.param(True, marks=pytest.mark.bfloat16), False])
def test_the_accelerated_form_computes_the_same(monkeypatch, name, native):
    monkeypatch.setattr(acceleration, "has_fast_bfloat16", lambda device: native)
    model = tiny(name)
    fast = acceleration.accelerate(model, 3, "cpu")
    assert not modules(fast, torch.nn.BatchNorm2d)
    expected = logits(model)
    actual = logits(fast, image().bfloat16() if native else None).float()
    scale = (expected - expected.mean()).abs().max()
    assert (actual - expected).abs().max() < (0.1 if native else 1e-3) * scale


@pytest.mark.parametrize("name", UNETS)
def test_a_pixel_far_away_changes_nothing(name):
    """Nothing looks at the whole tile, so results do not depend on where a tile ends."""
    model, x = tiny(name), image(16, 448)
    before = logits(model, x)
    x[..., 384:] = 0
    after = logits(model, x)
    torch.testing.assert_close(after[..., :160], before[..., :160], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(after[..., 384:], before[..., 384:])


def test_iau_net_gates_every_level_of_its_decoder():
    model = tiny("iau-net")
    assert modules(model, ResidualGate) == {f"decoder.{k}.gate" for k in range(4)}
    assert len(modules(model, ResidualBlock)) == 5 + 4
    assert modules(model, DeformableConv) == {"last"}


def test_iau_net_gates_the_enlarged_map_by_the_encoders():
    """x is the decoder's map and g the encoder's, not the other way round."""
    step = tiny("iau-net").decoder[0]
    deep, encoded = torch.rand(1, 24, 4, 4), torch.rand(1, 16, 8, 8)
    gated = step.gate(step.up(deep), encoded)
    torch.testing.assert_close(step(deep, encoded), step.block(torch.cat([encoded, gated], dim=1)))


def test_the_deformable_layer_is_the_only_difference_from_the_plain_one():
    model, plain = tiny("iau-net"), tiny("iau-net", deformable=False)
    assert not modules(plain, DeformableConv)
    assert differ_only_in(model, plain, "last.offset")
    assert not torch.allclose(logits(model), logits(plain))
    torch.nn.init.zeros_(model.last.offset.weight)
    torch.testing.assert_close(logits(model), logits(plain), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["iau-net", "oktay-attention-unet"])
def test_gates_are_the_only_difference_from_the_network_without(name):
    model, without = tiny(name), tiny(name, attention=False)
    assert not modules(without, (AttentionGate, ResidualGate))
    assert differ_only_in(model, without, ".gate.")
    assert not torch.allclose(logits(model), logits(without))
    for module in model.modules():  # a gate that lets everything through once
        if isinstance(module, AttentionGate):
            torch.nn.init.constant_(module.psi.bias, 1e4)
        if isinstance(module, ResidualGate):
            torch.nn.init.constant_(module.of_gating.bias, -1e4)
    torch.testing.assert_close(logits(model), logits(without))


def test_attention_unet_gates_every_skip_on_the_coarser_grid():
    model = tiny("oktay-attention-unet")
    assert modules(model, AttentionGate) == {f"decoder.{k}.gate" for k in range(4)}
    assert not any(m.fine for m in model.modules() if isinstance(m, AttentionGate))


def test_unetpp_has_ten_nodes_and_the_papers_gates():
    model = build_model("unetpp-attention")
    assert len(model.nodes) == len(ALL_GATES) == 10
    gates = {n: m for n, m in model.named_modules() if isinstance(m, AttentionGate)}
    assert set(gates) == {f"nodes.X{k}.gate" for k in ("2-1", "1-2", "0-3")}
    shapes = {
        n: (g.of_skip.weight.shape[:2], g.of_gating.weight.shape[:2]) for n, g in gates.items()
    }
    assert shapes["nodes.X2-1.gate"] == ((128, 128), (128, 256))
    assert shapes["nodes.X1-2.gate"] == ((64, 64), (64, 128))
    assert shapes["nodes.X0-3.gate"] == ((32, 32), (32, 64))


@pytest.mark.parametrize(
    "gates", [(), ALL_GATES, *itertools.combinations(ALL_GATES, 1), ("G2.1", "G0.3")]
)
def test_any_nodes_of_unetpp_carry_gates(gates):
    model, without = tiny("unetpp-attention", gates=gates), tiny("unetpp-attention", gates=())
    named = {f"nodes.X{gate[1]}-{gate[3]}.gate" for gate in gates}
    assert modules(model, AttentionGate) == named
    assert differ_only_in(model, without, ".gate.") == bool(gates)
    assert torch.allclose(logits(model), logits(without)) == (not gates)
    for module in model.modules():
        if isinstance(module, AttentionGate):
            torch.nn.init.constant_(module.psi.bias, 1e4)
    torch.testing.assert_close(logits(model), logits(without))


def test_a_node_of_unetpp_sees_its_row_and_the_map_below():
    """X(i, j) = H([X(i, 0), ..., A(X(i, j - 1), up(X(i + 1, j - 1))), up(X(i + 1, j - 1))])."""
    node = tiny("unetpp-attention").nodes["X0-3"]
    row, deep = [torch.rand(1, 8, 8, 12) for _ in range(3)], torch.rand(1, 8, 4, 6)
    up = deep.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    conv, *rest = node.join
    joined = torch.cat([up, row[0], row[1], node.gate(row[2], up)], dim=1)
    expected = node.refine(torch.nn.Sequential(*rest)(conv(joined)))
    torch.testing.assert_close(node(deep, row), expected)


def test_unetpp_is_wired_as_in_the_figure():
    """Every node is given all nodes before it and the one below the last of them."""
    model, inputs, made = tiny("unetpp-attention", gates=()), {}, {}

    def watch(i, j):
        def note(module, arguments, output):
            inputs[i, j] = (arguments[0], list(arguments[1])) if j else None
            made[i, j] = output

        return note

    for i, block in enumerate(model.encoder):
        block.register_forward_hook(watch(i, 0))
    for name, node in model.nodes.items():
        node.register_forward_hook(watch(int(name[1]), int(name[3])))
    logits(model)
    assert len(made) == 15
    for (i, j), seen in inputs.items():
        if j:
            assert seen[0] is made[i + 1, j - 1]
            assert [id(x) for x in seen[1]] == [id(made[i, k]) for k in range(j)]


def test_deep_supervision_adds_heads_and_leaves_the_prediction_alone():
    model = tiny("unetpp-attention", deep_supervision=True)
    without = tiny("unetpp-attention")
    assert differ_only_in(model, without, "auxiliary_heads")
    assert torch.equal(logits(model), logits(without))
    with torch.no_grad():
        outputs = model.supervised(image(40, 70))
        assert len(without.supervised(image())) == 1
        row = model._full_resolution(image())
        heads = [model.head, *model.auxiliary_heads]
        expected = [head(row[4 - k])[:, :1] for k, head in enumerate(heads)]
        actual = [maps["foreground"] for maps in model.supervised(image())]
    assert [maps["contour"].shape for maps in outputs] == [(1, 1, 40, 70)] * 4
    torch.testing.assert_close(actual, expected)


def test_every_head_of_deep_supervision_learns():
    model = tiny("unetpp-attention", deep_supervision=True).train()
    outputs = model.supervised(image())
    sum(x.square().mean() for maps in outputs for x in maps.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("gates", [("G0.5",), ("G2.3",), ("G2.1", "G2.1")])
def test_wrong_gates_are_refused(gates):
    with pytest.raises(SettingsError, match="gates"):
        build_model("unetpp-attention", {"gates": gates})


@pytest.mark.parametrize("change", ["same", "wider"])
def test_a_residual_block_adds_its_input(change):
    block = ResidualBlock(4, 4 if change == "same" else 6).eval()
    x = torch.randn(1, 4, 5, 5)
    expected = torch.relu(block.convs(x) + (x if change == "same" else block.shortcut(x)))
    torch.testing.assert_close(block(x), expected)
    for parameter in block.convs.parameters():
        torch.nn.init.zeros_(parameter)
    only = x if change == "same" else block.shortcut(x)
    torch.testing.assert_close(block(x), torch.relu(only))
