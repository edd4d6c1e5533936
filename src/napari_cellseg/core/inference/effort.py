"""How much is asked of a device at once, and how to ask less when its memory runs out."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass, replace

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import DeviceError
from napari_cellseg.core.inference.tiling import STRIDE, Grid, Tiling, fit_grid

_BATCH_PIXELS = 2048**2
_SMALLEST_TILE = 128


@dataclass(frozen=True)
class Effort:
    """Device, tiling and batch of a run.

    Attributes
    ----------
    device
        Device in torch's spelling.
    tiling
        Tiling in force; its ``batch`` is None unless chosen.
    asked
        Tiling that the user asked for; a move to the CPU starts from it again.
    """

    device: str
    tiling: Tiling
    asked: Tiling

    @classmethod
    def of(cls, device: str, tiling: Tiling) -> Effort:
        """Return the effort that a run starts with."""
        return cls(device, tiling, tiling)

    def grid(self, shape: tuple[int, int]) -> Grid:
        """Return the tiles of a plane of `shape` (Y, X) in network pixels."""
        return fit_grid(shape, self.tiling)

    def batch(self, shape: tuple[int, int]) -> int:
        """Return how many tiles are computed at once: one on a CPU, which gains nothing by more."""
        if self.tiling.batch is not None:
            return self.tiling.batch
        if self.device == "cpu":
            return 1
        rows, columns = self.grid(shape).shape
        return max(1, _BATCH_PIXELS // (rows * columns))

    def reduced(self, shape: tuple[int, int]) -> tuple[Effort, str]:
        """Return the next smaller effort for a plane of `shape`, and a sentence that says so.

        First the batch is halved, down to one tile; then the tile; then the run moves to the CPU.

        Raises
        ------
        DeviceError
            If nothing smaller is left.
        """
        batch = min(self.batch(shape), len(self.grid(shape).tiles))
        if batch > 1:
            half = self.tiling.replace(batch=batch // 2)
            told = f"Out of memory on {self.device}: the batch was halved to {batch // 2}."
            return replace(self, tiling=half), told
        side = max(self.grid(shape).shape)
        if side > _SMALLEST_TILE:
            side = max(_SMALLEST_TILE, side // 2 // STRIDE * STRIDE)
            half = self.tiling.replace(batch=1, tile=side)
            told = f"Out of memory on {self.device}: the tile was halved to {side} px."
            return replace(self, tiling=half), told
        if self.device != "cpu":
            told = f"Out of memory on {self.device}: the run continues on the CPU, more slowly."
            return Effort.of("cpu", self.asked.replace(batch=None)), told
        raise DeviceError(
            "The memory of this computer is not enough even for the smallest tile: close other "
            "programs or images, or choose a smaller model."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch has no type of its own for a failed allocation on the CPU, or on MPS
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "DefaultCPUAllocator" in text or "MPS backend out of memory" in text
    )


def release_memory(device: str) -> None:
    """Give memory that torch or the C library keep for later back to the device."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
    elif sys.platform == "linux":
        # glibc keeps some 400 MB after a large image; other C libraries lack the function
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
