"""Throughput of a batch over the rate of pure inference, on many small real images.

python -m benchmarks.batch FOLDER --images 400 --side 256 --measure
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.inputs import find_inputs
from napari_cellseg.core.batch.queue import Queue
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import find_images, read_image
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows import segment as network
from napari_cellseg.core.workflows.batch import batch
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.store import find_model

BUSY = 0.1
"""Share of the processors that other programs may take in a round that counts."""


def cut(source: Path, count: int, side: int, folder: Path) -> list[Path]:
    """Write `count` pieces of real images, `side` px wide, and return their files."""
    found: list[Path] = []
    for path in find_images([source]):
        pixels = np.asarray(read_image(path).data)
        for y in range(0, pixels.shape[0] - side + 1, side):
            for x in range(0, pixels.shape[1] - side + 1, side):
                if len(found) == count:
                    return found
                found.append(folder / f"piece{len(found):04d}.tif")
                tifffile.imwrite(found[-1], pixels[y : y + side, x : x + side])
    return found


def network_calls(images: list[Image], recipe: Recipe, model: Model, device: str) -> list[Any]:
    """Return what the network is asked for in a segmentation of the images, call by call."""
    calls: list[Any] = []
    real = network.predict

    def noted(*arguments: Any, **options: Any) -> Any:
        calls.append((arguments, options))
        return real(*arguments, **options)

    network.predict = noted  # type: ignore[assignment]
    try:
        for image in images:
            finish(network.run_network(image, recipe, model=model, device=device))
    finally:
        network.predict = real
    return calls


def timed(function: Callable[[], None]) -> tuple[float, float, float]:
    """Return wall time, CPU time of this process and of those that it started and that have ended.

    The third is the share that other programs took.
    """
    before, own = psutil.cpu_times(), _own_time()
    start = time.perf_counter()
    function()
    wall, spent = time.perf_counter() - start, _own_time() - own
    after = psutil.cpu_times()
    idle = after.idle + after.iowait - before.idle - before.iowait
    processors = psutil.cpu_count() or 1
    return wall, spent, max(0.0, 1 - (idle + spent) / (wall * processors))


def _own_time() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> int:
    """Take turns between batch and pure inference; tell of the quietest rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of images, from which pieces are cut")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--measure", action="store_true", help="measure the objects as well")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for quiet")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_bundle(find_model(options.model).folder)
    recipe = Recipe.for_model(model.card, options.model)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        inputs = find_inputs(cut(options.folder, options.images, options.side, folder))
        images = [one.load() for one in inputs]
        calls = network_calls(images, recipe, model, options.device)
        settings = BatchSettings(measure=options.measure)
        number = iter(range(10**6))

        def pure() -> None:
            for arguments, named in calls:
                finish(network.predict(*arguments, **named))

        def whole() -> None:
            out = folder / f"out{next(number)}"
            steps = batch(
                Queue(inputs), recipe, out, settings=settings, model=model, device=options.device
            )
            finish(steps)

        pure(), whole()  # to warm up
        rounds = _rounds(pure, whole, options.rounds, options.patience)
    _tell(rounds, len(images), len(calls))
    return 0


def _rounds(
    pure: Callable[[], None], whole: Callable[[], None], wanted: int, patience: float
) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Take turns until so many rounds were quiet, or patience ends; the quietest come first."""
    end, rounds = time.monotonic() + patience, []
    while True:
        rounds.append((timed(pure), timed(whole)))
        quiet = sum(max(one[2] for one in both) <= BUSY for both in rounds)
        if quiet >= wanted or time.monotonic() > end:
            return sorted(rounds, key=lambda both: max(one[2] for one in both))[:wanted]


def _tell(rounds: list[Any], images: int, calls: int) -> None:
    def line(text: str) -> None:
        sys.stdout.write(text + "\n")

    line(f"{images} images, {calls} calls of the network, {len(rounds)} rounds")
    for name, at in (("pure inference", 0), ("batch", 1)):
        wall = statistics.median(both[at][0] for both in rounds)
        spent = min(both[at][1] for both in rounds)
        line(f"{name}: {1e3 * wall / images:.1f} ms an image, {1e3 * spent / images:.1f} ms CPU")
    ratio = statistics.median(both[0][0] / both[1][0] for both in rounds)
    spent = min(both[0][1] for both in rounds) / min(both[1][1] for both in rounds)
    busiest = max(one[2] for both in rounds for one in both)
    line(f"throughput of the batch / pure inference: {ratio:.3f} (on one core alone: {spent:.3f})")
    line(f"other programs took up to {100 * busiest:.0f} % of the processors")


if __name__ == "__main__":
    sys.exit(main())
