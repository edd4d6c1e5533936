"""Which processor computes, in which precision, and the seed of random numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from napari_cellseg.core.errors import DeviceError, SettingsError

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device in torch's spelling, and why it was chosen."""

    device: str
    reason: str


def choose_device(requested: str = "auto") -> DeviceChoice:
    """Choose where to compute; the first call imports torch.

    Parameters
    ----------
    requested
        ``"auto"`` (CUDA, else MPS, else CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.

    Raises
    ------
    SettingsError
        If there is no device of that name.
    DeviceError
        If this computer lacks the device.
    """
    kind, _, number = requested.partition(":")
    if kind not in DEVICES or (number and (kind != "cuda" or not number.isdigit())):
        raise SettingsError(
            f"There is no device called '{requested}'. Choose one of {', '.join(DEVICES)}."
        )
    from napari_cellseg.core._torch import torch

    if kind == "cpu":
        return DeviceChoice("cpu", "chosen by you")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count and kind in ("auto", "cuda"):
        index = int(number or 0)
        if index >= count:
            raise DeviceError(f"There is no GPU {index}: the highest number here is {count - 1}.")
        name = torch.cuda.get_device_name(index)
        why = f"{name} was found" if kind == "auto" else f"{name}, chosen by you"
        return DeviceChoice(f"cuda:{index}", why)
    if torch.backends.mps.is_available() and kind in ("auto", "mps"):
        why = "an Apple GPU was found" if kind == "auto" else "chosen by you"
        return DeviceChoice("mps", why)
    if kind == "auto":
        return DeviceChoice("cpu", "no GPU that torch can use was found")
    raise DeviceError(
        f"The device '{requested}' is not available: torch {torch.__version__} finds no such GPU. "
        "Choose 'auto' or 'cpu', or install a torch build and driver for your GPU."
    )


def has_fast_bfloat16(device: str) -> bool:
    """Tell whether bfloat16 is computed natively, by the processor's abilities alone.

    It is never decided by timing: the same computer must always come to the same labels. Without
    such instructions bfloat16 is emulated, and slower than float32.
    """
    from napari_cellseg.core._torch import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.get_device_capability(torch.device(device)) >= (8, 0))
    if device == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
    return False


def can_compute_bfloat16(device: str) -> bool:
    """Tell whether bfloat16 is of any use: older processors have no convolution for it."""
    from napari_cellseg.core._torch import torch

    if device != "cpu":
        return True
    probe = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return probe is not None and bool(probe())


def free_memory(device: str) -> int | None:
    """Return the free memory of a device in bytes, None where it cannot be told."""
    if device.startswith("cuda"):
        from napari_cellseg.core._torch import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def seed_everything(seed: int) -> None:
    """Seed Python and torch on all devices; numpy code here takes a Generator of its own."""
    from napari_cellseg.core._torch import torch

    random.seed(seed)
    torch.manual_seed(seed)
