"""What docs/models.md says of torch.compile and ONNX holds for every dense network."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks.deformable import DeformableConv
from napari_cellseg.core.models.registry import MODELS, build_model
from napari_cellseg.core.zoo import bioimageio
from napari_cellseg.core.zoo.card import Card

DENSE = MODELS.names()


def tiny(name):
    torch.manual_seed(0)
    return build_model(name, {"width": 0.05}).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", DENSE)
def test_compiled_networks_give_the_same_maps(name):
    """As one graph without a break; what a compiler makes of it is not ours to test."""
    network = tiny(name)
    torch._dynamo.reset()  # otherwise it counts all networks as one that changes too often
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True, dynamic=False)
    image = torch.rand(1, 3, 2 * network.stride, 2 * network.stride)
    with torch.no_grad():
        torch.testing.assert_close(compiled(image), network(image), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", DENSE)
def test_onnx_gives_the_same_maps_at_any_size(name):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    network = tiny(name)
    content = bioimageio._onnx(network, Card(name="tiny", architecture=name))
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for batch, rows, columns in ((2, 5, 2), (1, 2, 4)):
        image = torch.rand(batch, 3, rows * network.stride, columns * network.stride)
        found = session.run(["foreground", "contour"], {"image": image.numpy()})
        with torch.inference_mode():
            expected = network(image)
        for one, logits in zip(found, expected.values(), strict=True):
            np.testing.assert_allclose(one, logits.sigmoid().numpy(), atol=1e-4)


def test_a_deformable_convolution_is_exported_for_any_size():
    """Its strips are for speed alone: one program serves images that would need other strips."""
    torch.manual_seed(0)
    layer = DeformableConv(2, 3)
    torch.nn.init.normal_(layer.offset.weight)
    sides = {2: torch.export.Dim("y", max=400), 3: torch.export.Dim("x", max=400)}
    program = torch.export.export(layer, (torch.rand(1, 2, 9, 11),), dynamic_shapes=(sides,))
    with torch.no_grad():
        for shape in ((7, 5), (90, 130)):
            image = torch.rand(1, 2, *shape)
            torch.testing.assert_close(program.module()(image), layer(image))
