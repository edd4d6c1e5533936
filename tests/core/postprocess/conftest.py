"""Maps to post-process, and the paper's Algorithm 1 written down as printed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage


def _algorithm_1(mask: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Follow the printed loop line by line; pieces without a seed become objects of their own."""
    return _grow(ndimage.label(mask & ~edge, np.ones((3, 3), bool))[0], mask)


def _grow(seeds: np.ndarray, mask: np.ndarray) -> np.ndarray:
    kernel = np.ones((3, 3), bool)
    objects, count = seeds.copy(), int(seeds.max(initial=0))
    while True:
        before = (objects != 0).sum()
        for number in range(1, count + 1):
            dilated = ndimage.binary_dilation(objects == number, kernel)
            objects[dilated & mask & (objects == 0)] = number
        if (objects != 0).sum() == before:
            break
    rest, _ = ndimage.label(mask & (objects == 0), kernel)
    objects[rest > 0] = rest[rest > 0] + count
    return objects.astype(np.int32)


def _smooth_maps(seed: int, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = {}
    for name, sigma in (("foreground", 2.5), ("contour", 1.0)):
        noise = ndimage.gaussian_filter(rng.random(shape), sigma)
        spread = np.ptp(noise) or 1.0
        maps[name] = np.round((noise - noise.min()) / spread * 255).astype(np.uint8)
    return maps


@pytest.fixture(scope="session")
def algorithm_1() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the reference: mask and edge (Y, X) bool in, objects out."""
    return _algorithm_1


@pytest.fixture(scope="session")
def grow() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the loop of the reference alone: numbered seeds and mask in, objects out."""
    return _grow


@pytest.fixture(scope="session")
def smooth_maps() -> Callable[[int, tuple[int, int]], dict[str, np.ndarray]]:
    """Return a maker of random blobs with random contours."""
    return _smooth_maps


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def compiled(request: pytest.FixtureRequest) -> bool:
    """Run a test with the compiled loops and with their plain twins."""
    if request.param:
        pytest.importorskip("numba")
    return bool(request.param)
