"""cellpose 3 through its own functions; random weights cost what trained ones do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cellpose import core, dynamics, train
from cellpose.resnet_torch import CPnet

CHANNELS = [2, 32, 64, 128, 256]
CPU = torch.device("cpu")


def ways(task: str, side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return the timed functions of one task."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return {"labels": _labels, "memory": _memory, "maps": _maps, "training": _training}[task](
        side, folder
    )


def _flows(side: int, folder: Path) -> np.ndarray:
    """Perfect flows of the true labels, at the scale that the network is trained to give."""
    part = min(side, 2048)
    labels = np.load(folder / f"labels_{part}.npy")
    flows = dynamics.masks_to_flows(labels, device=CPU)
    flows = np.asarray(flows[0] if isinstance(flows, tuple) else flows, np.float32)
    return np.tile(5 * flows[-2:], (1, side // part, side // part))


def _labels(side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    flows = _flows(side, folder)
    inside = np.load(folder / f"foreground_{side}.npy").astype(np.float32) * (12 / 255) - 6
    thresholds = cycle((0.0, -0.2))

    def step(flow_threshold: float) -> np.ndarray:
        masks = dynamics.compute_masks(
            flows,
            inside,
            niter=200,
            cellprob_threshold=next(thresholds),
            flow_threshold=flow_threshold,
            min_size=15,
            device=CPU,
        )
        return np.asarray(masks[0] if isinstance(masks, tuple) else masks)

    if side > 4096:  # four minutes a call: one way is enough
        return {"compute_masks": lambda: step(0.4)}
    return {
        "compute_masks": lambda: step(0.4),
        "compute_masks without flow check": lambda: step(0.0),
    }


def _memory(side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    picture = np.load(folder / f"image_{side}.npy")

    class Stub(torch.nn.Module):
        """The network's interface without its cost: what is measured is the memory around it."""

        mkldnn, nchan, nout, device, dtype = False, 2, 3, CPU, torch.float32

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x[:, :1].expand(-1, 3, -1, -1), torch.zeros(x.shape[0], 256)

    def run() -> None:
        pixels = np.repeat(picture[None, ..., None].astype(np.float32) / 255, 2, axis=3)
        core.run_net(Stub().eval(), pixels, bsize=224)

    return {"image to maps, network left out": run}


def _maps(side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    picture = np.load(folder / f"image_{side}.npy").astype(np.float32) / 255
    pixels = np.repeat(picture[None, ..., None], 2, axis=3)
    network = CPnet(CHANNELS, 3, 3, mkldnn=False).eval()
    return {"run_net (224 px, batch 8)": lambda: core.run_net(network, pixels)}


def _training(side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    network = CPnet(CHANNELS, 3, 3, mkldnn=False).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-5)
    image = torch.rand(8, 2, side, side)
    targets = np.random.default_rng(0).random((8, 3, side, side), np.float32)

    def step() -> float:
        loss = train._loss_fn_seg(targets, network(image)[0], CPU)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss)

    return {"CPnet": step}
