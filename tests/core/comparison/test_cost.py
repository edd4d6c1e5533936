"""Costs of networks, against counts worked by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.comparison.cost import PeakMemory, network_cost, size_on_disk
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card


def model_of(network, in_channels=3):
    kinds = ("multi",)
    return Model(Card(name="x", architecture="x", in_channels=in_channels, channels=kinds), network)


def test_operations_of_strided_and_repeated_convolutions():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 8, 3, stride=2, padding=1),  # 2·9·2·8 a quarter pixel
        torch.nn.BatchNorm2d(8),
        torch.nn.Conv2d(8, 4, 1),  # 2·8·4 a quarter pixel
    )
    cost = network_cost(model_of(network, 2))
    assert cost.flops_per_mpx == pytest.approx((288 + 64) / 4 * 1e6)
    assert cost.parameters == (2 * 9 * 8 + 8) + 16 + (8 * 4 + 4)


def test_the_image_has_objects_to_look_at():
    """What a network does for each object counts, and noise would show none."""
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, image):
            seen.append(image)

    network_cost(model_of(Watching(), 2))
    assert seen[0].shape == (1, 2, 256, 256)
    assert (seen[0].min(), seen[0].max()) == (0, 1)
    bright = seen[0][0, 0] > 0.3
    assert 0.01 < bright.float().mean() < 0.3
    below_bright = bright[1:][bright[:-1]]
    assert below_bright.float().mean() > 0.7, "bright pixels lie side by side, unlike noise"


def test_deformable_convolutions_count_like_ordinary_ones():
    ops = gated_import("torchvision.ops")

    class Deformable(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = ops.DeformConv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, image):
            side = image.shape[-1] // 2
            return self.inner(image, image.new_zeros(len(image), 18, side, side))

    ordinary = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
    assert network_cost(model_of(Deformable())) == network_cost(model_of(ordinary))


def test_frozen_weights_count_and_the_network_stays_as_it_is():
    network = build_model("attention-linknet", {"width": 0.05}).eval().requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    cost = network_cost(model_of(network))
    assert cost.parameters == sum(value.numel() for value in network.parameters())
    assert cost.flops_per_mpx > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_size_of_a_folder_and_of_a_file(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "one").write_bytes(b"12345")
    (tmp_path / "inner" / "two").write_bytes(b"678")
    assert size_on_disk(tmp_path) == 8
    assert size_on_disk(tmp_path / "one") == 5


def test_peak_memory_is_the_rise_within_the_block():
    held = np.ones(10_000_000)  # 80 MB from before do not count
    with PeakMemory("cpu") as memory:
        passing = np.ones(12_000_000)  # 96 MB
        time.sleep(0.05)
        del passing
    assert 90e6 < memory.rise < 170e6
    assert held.nbytes == 80e6
    with PeakMemory("cpu") as memory:
        time.sleep(0.02)
    assert 0 <= memory.rise < 20e6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_peak_memory_of_a_gpu():
    with PeakMemory("cuda:0") as memory:
        passing = torch.ones(25_000_000, device="cuda:0")
        del passing
    assert 100e6 <= memory.rise < 110e6
    assert "max_memory_allocated" in PeakMemory.method("cuda:0")
