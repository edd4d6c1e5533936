"""StarDist 2D through its own functions; random weights cost what trained ones do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from stardist.geometry import polygons_to_label, star_dist
from stardist.nms import non_maximum_suppression
from stardist.utils import edt_prob


def ways(task: str, side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return the timed functions of one task, at full resolution (grid 1) and at half (grid 2)."""
    grids = (2,) if side > 4096 else (1, 2)
    make = {"labels": _labels, "memory": _memory, "maps": _maps, "training": _training}[task]
    return {f"{name}, grid {grid}": way for grid in grids for name, way in make(side, folder, grid)}


def _labels(side: int, folder: Path, grid: int) -> list[tuple[str, Callable[[], Any]]]:
    part = min(side, 2048)
    labels = np.load(folder / f"labels_{part}.npy")
    repeats = (side // part, side // part)
    distances = np.tile(star_dist(labels, n_rays=32, grid=(grid, grid)), (*repeats, 1))
    inside = np.tile(edt_prob(labels)[::grid, ::grid], repeats)
    thresholds = cycle((0.5, 0.48))

    def step() -> np.ndarray:
        points, scores, rays = non_maximum_suppression(
            distances, inside, grid=(grid, grid), prob_thresh=next(thresholds), nms_thresh=0.4
        )
        return polygons_to_label(rays, points, shape=(side, side), prob=scores)

    return [("non-maximum suppression + polygons", step)]


def _network(grid: int) -> Any:
    from stardist.models import Config2D, StarDist2D

    return StarDist2D(Config2D(n_rays=32, grid=(grid, grid)), name=None, basedir=None)


def _maps(side: int, folder: Path, grid: int) -> list[tuple[str, Callable[[], Any]]]:
    picture = np.load(folder / f"image_{side}.npy").astype(np.float32) / 255
    network = _network(grid)
    return [("predict", lambda: network.predict(picture, show_tile_progress=False))]


def _memory(side: int, folder: Path, grid: int) -> list[tuple[str, Callable[[], Any]]]:
    network = _network(grid)
    tiles = (max(side // 512, 1),) * 2

    def run() -> None:
        picture = np.load(folder / f"image_{side}.npy").astype(np.float32) / 255
        network.predict(picture, n_tiles=tiles, show_tile_progress=False)

    return [("image to maps", run)]


def _training(side: int, _folder: Path, grid: int) -> list[tuple[str, Callable[[], Any]]]:
    model = _network(grid)
    model.prepare_for_training()
    coarse = side // grid
    shapes = ((8, side, side, 1), (8, coarse, coarse, 1), (8, coarse, coarse, 33))
    image, inside, rays = (np.random.default_rng(0).random(s, np.float32) for s in shapes)
    return [("train_on_batch", lambda: model.keras_model.train_on_batch(image, [inside, rays]))]
