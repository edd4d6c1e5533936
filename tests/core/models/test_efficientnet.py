"""The own encoder is segmentation-models-pytorch's, weights and all."""

import sys

import pytest

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.models.efficientnet import EfficientNetB0


@pytest.fixture(scope="module")
def encoders():
    """Ours and theirs, with the same weights and lively batch statistics."""
    torch.manual_seed(0)
    theirs = gated_import("segmentation_models_pytorch").encoders.get_encoder(
        "efficientnet-b0", in_channels=4, depth=5, weights=None
    )
    for unused in ("_conv_head", "_bn1"):
        delattr(theirs, unused)
    for name, value in theirs.state_dict().items():
        if "running" in name or ("_bn" in name and "num" not in name):
            value.uniform_(0.5, 1.5)
    ours = EfficientNetB0(4)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
def test_features_equal_those_of_the_library(encoders, training):
    """In training the same blocks are left out, too: both draw from torch's generator alike."""
    image = torch.rand(3, 4, 64, 96)
    results = []
    for encoder in encoders:
        encoder.train(training)
        torch.manual_seed(3)
        with torch.no_grad():
            results.append(encoder(image))
    assert [f.shape for f in results[0]] == [f.shape for f in results[1]]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert encoders[0].out_channels == tuple(encoders[1].out_channels)


def test_using_a_model_does_not_import_the_library(tmp_path):
    """It costs seconds and half a gigabyte."""
    import subprocess

    code = (
        "import sys\n"
        "from napari_cellseg.core.models.registry import build_model\n"
        "build_model('attention-unet'), build_model('attention-linknet')\n"
        "names = ('segmentation_models_pytorch', 'torchvision', 'timm')\n"
        "sys.exit(any(name in sys.modules for name in names))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
