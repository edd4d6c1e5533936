"""Devices: what is chosen, why, and what is refused."""

import random

import pytest

from napari_cellseg.core import device
from napari_cellseg.core._torch import torch
from napari_cellseg.core.device import (
    can_compute_bfloat16,
    choose_device,
    free_memory,
    has_fast_bfloat16,
    seed_everything,
)
from napari_cellseg.core.errors import DeviceError, SettingsError


@pytest.fixture
def gpus(monkeypatch):
    def pretend(cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "requested", "expected"),
    [
        (0, False, "auto", "cpu"),
        (2, False, "auto", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "auto", "mps"),
        (1, True, "mps", "mps"),
        (1, True, "auto", "cuda:0"),
        (1, False, "cpu", "cpu"),
    ],
)
def test_choice(gpus, cuda, mps, requested, expected):
    gpus(cuda, mps)
    choice = choose_device(requested)
    assert choice.device == expected
    assert choice.reason


@pytest.mark.parametrize("requested", ["cuda", "mps", "cuda:0"])
def test_a_missing_device_is_refused_with_a_remedy(gpus, requested):
    gpus()
    with pytest.raises(DeviceError, match="Choose 'auto' or 'cpu'"):
        choose_device(requested)


def test_a_gpu_number_that_does_not_exist_is_refused(gpus):
    gpus(cuda=1)
    with pytest.raises(DeviceError, match="highest number here is 0"):
        choose_device("cuda:3")


@pytest.mark.parametrize("requested", ["gpu", "", "cpu:1", "cuda:x"])
def test_unknown_names_are_refused(requested):
    with pytest.raises(SettingsError, match="auto, cpu, cuda, mps"):
        choose_device(requested)


def test_precision_is_a_property_of_the_device_not_of_the_moment(monkeypatch):
    assert len({has_fast_bfloat16("cpu") for _ in range(3)}) == 1
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda: False, raising=False)
    assert not has_fast_bfloat16("cpu")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert has_fast_bfloat16("cpu")
    assert not has_fast_bfloat16("mps")
    for capability, expected in (((7, 5), False), ((8, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index, c=capability: c)
        assert has_fast_bfloat16("cuda:0") is expected


def test_older_processors_have_no_bfloat16(monkeypatch):
    assert can_compute_bfloat16("cpu") or not has_fast_bfloat16("cpu")
    for there in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda t=there: t)
        assert can_compute_bfloat16("cpu") is there
        assert can_compute_bfloat16("cuda:0")


def test_free_memory(monkeypatch, tmp_path):
    free = free_memory("cpu")
    assert free is None or free > 2**20
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (7, 9))
    assert free_memory("cuda:0") == 7
    monkeypatch.setattr(device, "Path", lambda name: tmp_path / "missing")
    assert free_memory("cpu") is None


def test_seeds():
    draws = []
    for _ in range(2):
        seed_everything(3)
        draws.append((random.random(), torch.rand(1).item()))
    assert draws[0] == draws[1]
