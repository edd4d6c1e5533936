"""The baselines are what segmentation-models-pytorch makes of their names."""

import pytest

pytest.importorskip("torch")
from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import SettingsError, TrainingError
from napari_cellseg.core.models.registry import build_model

smp = gated_import("segmentation_models_pytorch")

KINDS = {
    "unet": smp.Unet,
    "unetpp": smp.UnetPlusPlus,
    "linknet": smp.Linknet,
    "deeplabv3plus": smp.DeepLabV3Plus,
}


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", KINDS)
def test_base_is_the_librarys_own_network(name):
    """Same weights, same logits; only the encoder's classification layers are gone."""
    model = build_model(name, {"encoder": "resnet18", "in_channels": 2}).eval()
    oracle = KINDS[name]("resnet18", encoder_weights=None, in_channels=2, classes=2).eval()
    oracle.load_state_dict(model.network.state_dict())
    image = torch.rand(1, 2, 64, 96)
    with torch.inference_mode():
        maps, expected = model(image), oracle(image)
    torch.testing.assert_close(torch.cat([maps["foreground"], maps["contour"]], 1), expected)


@pytest.mark.parametrize("name", KINDS)
def test_small_is_smaller(name):
    sizes = {width: count(build_model(name, {"width": width})) for width in ("base", "small")}
    assert sizes["small"] < sizes["base"] or name == "linknet"


def test_the_baseline_lacks_only_the_gates():
    gated, plain = (
        build_model("attention-unet"),
        build_model("attention-unet", {"attention": False}),
    )
    assert count(build_model("unet")) == pytest.approx(count(plain), rel=0.01)
    assert count(build_model("unet")) < count(gated)


@pytest.mark.parametrize("name", KINDS)
def test_an_encoder_that_does_not_fit_is_refused_in_words(name):
    with pytest.raises(SettingsError, match="encoder 'no-such-net' cannot be used"):
        build_model(name, {"encoder": "no-such-net"})


def test_deeplab_says_why_one_patch_is_too_few():
    model = build_model("deeplabv3plus", {"width": 0.1}).train()
    with pytest.raises(TrainingError, match="batch size"):
        model(torch.rand(1, 3, 64, 64))
