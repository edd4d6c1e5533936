"""Every dense architecture keeps the contract; the attention networks keep the paper's."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import SettingsError, UnknownNameError
from napari_cellseg.core.models.blocks import AttentionGate
from napari_cellseg.core.models.registry import MODELS, build_model


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (16, 16), (33, 70)])
def test_maps_have_the_size_of_the_image(name, shape):
    model = build_model(name, {"width": "small"}).eval()
    with torch.inference_mode():
        maps = model(torch.rand(2, 3, *shape))
    assert {k: tuple(v.shape) for k, v in maps.items()} == {
        "foreground": (2, 1, *shape),
        "contour": (2, 1, *shape),
    }
    assert all(torch.isfinite(v).all() for v in maps.values())


@pytest.mark.parametrize("name", MODELS.names())
def test_channels_and_maps_are_free(name):
    model = build_model(name, {"in_channels": 5, "maps": ("foreground",), "width": 0.25}).eval()
    with torch.inference_mode():
        assert set(model(torch.rand(1, 5, 32, 32))) == {"foreground"}


@pytest.mark.parametrize("name", MODELS.names())
def test_parameters_survive_json(name):
    params = MODELS[name].Params(width="small", in_channels=2)
    assert type(params).model_validate_json(params.model_dump_json()) == params


@pytest.mark.parametrize("name", MODELS.names())
def test_every_weight_learns(name):
    model = build_model(name, {"width": "small"}).train()
    sum(logits.square().mean() for logits in model(torch.rand(2, 3, 64, 64)).values()).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None]
    assert idle == []


def test_padding_leaves_the_middle_of_an_image_alone():
    """The padded part is a reflection: what lies far from it sees the same pixels."""
    model = build_model("attention-unet", {"width": "small"}).eval()
    seen = []
    model.forward_padded = lambda x: seen.append(x) or {"foreground": x[:, :1]}
    image = torch.rand(1, 3, 40, 50)
    model(image)
    assert seen[0].shape[-2:] == (64, 64)
    assert torch.equal(seen[0][..., :40, :50], image)
    assert torch.equal(seen[0][..., 40, :50], image[..., 38, :])


def test_linknet_is_about_forty_percent_smaller():
    unet, linknet = (count(build_model(n)) for n in ("attention-unet", "attention-linknet"))
    assert linknet <= 0.65 * unet


def test_gates_add_only_themselves():
    with_gates = build_model("attention-unet")
    without = build_model("attention-unet", {"attention": False})
    gates = sum(p.numel() for n, p in with_gates.named_parameters() if ".gate." in n)
    assert count(with_gates) == count(without) + gates
    assert sum(isinstance(m, AttentionGate) for m in with_gates.modules()) == 4


def test_gate_equals_the_equation():
    """Worked out by hand where both maps have the same grid."""
    torch.manual_seed(0)
    gate = AttentionGate(4, 6, inner=3)
    skip, gating = torch.rand(2, 4, 5, 7), torch.rand(2, 6, 5, 7)
    expected = torch.empty(2, 1, 5, 7)
    for b in range(2):
        for y in range(5):
            for x in range(7):
                inner = gate.of_skip.weight[:, :, 0, 0] @ skip[b, :, y, x]
                inner = inner + gate.of_gating.weight[:, :, 0, 0] @ gating[b, :, y, x]
                inner = torch.relu(inner + gate.of_gating.bias)
                alpha = gate.psi.weight[0, :, 0, 0] @ inner + gate.psi.bias[0]
                expected[b, 0, y, x] = torch.sigmoid(alpha)
    assert torch.allclose(gate.coefficients(skip, gating), expected, atol=1e-6)
    assert torch.allclose(gate(skip, gating), skip * expected, atol=1e-6)


def test_gate_resamples_coefficients_to_the_skip():
    gate = AttentionGate(4, 6)
    alpha = gate.coefficients(torch.rand(1, 4, 32, 48), torch.rand(1, 6, 16, 24))
    assert alpha.shape == (1, 1, 32, 48)
    assert ((alpha >= 0) & (alpha <= 1)).all()


def test_a_closed_gate_lets_nothing_through():
    gate = AttentionGate(4, 6)
    torch.nn.init.constant_(gate.psi.bias, -1e4)
    assert gate(torch.rand(1, 4, 8, 8), torch.rand(1, 6, 4, 4)).abs().max() == 0


def test_wrong_names_are_explained():
    with pytest.raises(UnknownNameError, match="Did you mean 'attention-unet'"):
        build_model("attention-unett")
    with pytest.raises(SettingsError, match="encoder"):
        build_model("attention-unet", {"encoder": "no-such-net"})
    with pytest.raises(SettingsError, match="width"):
        build_model("attention-unet", {"width": 100.0})
    with pytest.raises(SettingsError, match="Did you mean 'encoder'"):
        build_model("attention-unet", {"encodr": "resnet18"})


@pytest.mark.parametrize("name", MODELS.names())
def test_object_types_have_a_map_of_their_own(name):
    values = {"width": 0.1, "maps": ("contour", "classes"), "types": ("neuron", "glia")}
    model = build_model(name, values).eval()
    with torch.inference_mode():
        maps = model(torch.rand(1, 3, 40, 32))
    assert {k: v.shape[1] for k, v in maps.items()} == {"contour": 1, "classes": 3}


@pytest.mark.parametrize("name", MODELS.names())
def test_all_supervised_outputs_have_the_size_of_the_image(name):
    model = build_model(name, {"width": 0.1}).train()
    outputs = model.supervised(torch.rand(2, 3, 40, 70))
    assert set(outputs[0]) == {"foreground", "contour"}
    for maps in outputs:
        assert set(maps) <= set(outputs[0])
        assert all(logits.shape == (2, 1, 40, 70) for logits in maps.values())


@pytest.mark.parametrize(
    "values",
    [{"types": ("a",)}, {"maps": ("classes",)}, {"maps": ("classes",), "types": ("a", "a")}],
)
def test_types_and_the_map_of_classes_go_together(values):
    with pytest.raises(SettingsError):
        build_model("attention-unet", values)
