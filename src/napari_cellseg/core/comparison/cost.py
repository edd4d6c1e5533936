"""What a network costs: parameters, operations per megapixel, size on disk, peak memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.sample import sample_input

SAMPLE_SIDE = 256
"""Side in px of the image by which operations are counted."""

SAMPLING_INTERVAL = 0.005  # seconds


@dataclass(frozen=True)
class NetworkCost:
    """Parameters, and floating-point operations per 10**6 px of the network's input."""

    parameters: int
    flops_per_mpx: float


def network_cost(model: Model) -> NetworkCost:
    """Count the parameters and operations of the plain network, as it was trained.

    Operations are those of ``torch.utils.flop_counter.FlopCounterMode`` for one image of
    `SAMPLE_SIDE` px: convolutions and matrix products, a multiply-add counting as two. Deformable
    convolutions, which torch leaves out, are counted like ordinary ones. Normalisation,
    activations, pooling and resampling are not counted, neither are the margins of tiles.

    The image is a sample of the card's kind: a network that looks at each object by itself has as
    much to do as there are objects.
    """
    network = model.network
    sample = torch.from_numpy(sample_input(model.card, SAMPLE_SIDE))
    counter = gated_import("torch.utils.flop_counter").FlopCounterMode(
        display=False, custom_mapping=_further_operations()
    )
    with torch.no_grad(), counter:
        network(sample)
    return NetworkCost(
        sum(one.numel() for one in network.parameters()),
        counter.get_total_flops() * 1e6 / SAMPLE_SIDE**2,
    )


def _further_operations() -> dict[Any, Callable[..., int]]:
    library = torch.ops.torchvision
    if not hasattr(library, "deform_conv2d"):  # torchvision is not loaded, so no network uses it
        return {}

    def flops(
        _: Sequence[int], kernels: Sequence[int], *__: Any, out_shape: Sequence[int], **___: Any
    ) -> int:
        return 2 * math.prod(kernels) * out_shape[0] * math.prod(out_shape[2:])

    return {library.deform_conv2d: flops}


def size_on_disk(bundle: Path) -> int:
    """Return the bytes of a bundle: of all files of a folder, or of one file."""
    if bundle.is_file():
        return bundle.stat().st_size
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())


class PeakMemory:
    """Measures how far memory rises above its level at the start of a ``with`` block.

    On CUDA it is the device memory that torch allocates (``torch.cuda.max_memory_allocated``),
    elsewhere the resident memory of the process, sampled every 5 ms.

    Attributes
    ----------
    rise
        Bytes; set at the end of the block.
    """

    def __init__(self, device: str) -> None:
        self.rise = 0
        self._device = device
        self._peak = 0
        self._end = threading.Event()

    @staticmethod
    def method(device: str) -> str:
        """Say in words what is measured on `device`."""
        if device.startswith("cuda"):
            return "device memory allocated by torch (torch.cuda.max_memory_allocated)"
        return "resident memory of the process, sampled every 5 ms"

    def __enter__(self) -> Self:
        if self._device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self._device)
            self._start = torch.cuda.memory_allocated(self._device)
            return self
        import psutil

        self._process = psutil.Process()
        self._start = self._sample()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._device.startswith("cuda"):
            self._peak = torch.cuda.max_memory_allocated(self._device)
        else:
            self._end.set()
            self._thread.join()
            self._sample()
        self.rise = max(0, self._peak - self._start)

    def _watch(self) -> None:
        while not self._end.wait(SAMPLING_INTERVAL):
            self._sample()

    def _sample(self) -> int:
        now = int(self._process.memory_info().rss)
        self._peak = max(self._peak, now)
        return now
