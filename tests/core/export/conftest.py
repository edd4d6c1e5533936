"""Labels with all that is hard: holes, pieces, touching objects, gaps in the numbers, a class."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core.arrays import Labels

PROVENANCE = {
    "model": "nuclei",
    "weights_sha256": "ab" * 32,
    "recipe": {"post": {"min_area": 30}},
    "note": 'µ "quoted" <tag>',
    "corrections": {
        "shape": [24, 40],
        "states": {
            "id": [3, 9, 12],
            "decision": ["edited", "accepted", ""],
            "locked": [True, True, False],
            "class": ["", "", ""],
        },
    },
}


def hard_plane(seed: int = 0) -> np.ndarray:
    data = np.zeros((24, 40), np.int32)
    random = np.random.default_rng(seed)
    for label in (70, 12, 25, 26):
        y, x = random.integers(0, (16, 24))
        data[y : y + random.integers(3, 9), x : x + random.integers(3, 16)] = label
    data[2:9, 30:38] = 3  # with a hole, in which another object lies
    data[4:7, 32:36] = 0
    data[5, 33] = 1
    data[12:16, 30:33] = 9  # in two pieces that touch by a corner
    data[16:20, 33:37] = 9
    data[23, 39] = 4
    return data


def make_labels(axes: str = "YX") -> Labels:
    lengths = {"T": 2, "Z": 3}
    shape = tuple(lengths[axis] for axis in axes[:-2])
    planes = [hard_plane(seed) for seed in range(int(np.prod(shape)))]
    data = np.stack(planes).reshape(*shape, 24, 40)
    z_step = 1.5 if "Z" in axes else None
    return Labels(data, axes, (0.25, 0.5), z_step, "cells", PROVENANCE)


@pytest.fixture
def labels() -> Labels:
    return make_labels()


@pytest.fixture
def stack() -> Labels:
    return make_labels("TZYX")


@pytest.fixture
def table(labels):
    ids = np.unique(labels.data)[1:]
    return {
        "label": ids,
        "class": np.where(ids % 2 == 1, "odd", "even"),
        "area_px": np.bincount(labels.data.ravel())[ids],
        "score": np.linspace(0.1, 0.9, len(ids)),
        "orientation_deg": np.where(ids == 9, np.nan, 1 / 3),
    }
