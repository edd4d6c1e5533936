"""Learning rates: by hand, and against torch's own schedulers."""

import math

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.schedules import learning_rate, plateaus

COLD = TrainConfig(warm_up=0, learning_rate=0.5)


@pytest.mark.parametrize("schedule", ["cosine", "constant", "plateau", "triangular2"])
def test_warm_up_comes_first(schedule):
    config = TrainConfig(schedule=schedule, warm_up=0.1, learning_rate=0.2, cycle_steps=10)
    assert learning_rate(config, 0.0, 0) == pytest.approx(0.2 * 0.01)
    assert learning_rate(config, 0.05, 5) == pytest.approx(0.1)


def test_cosine_falls_to_the_lowest_rate():
    config = TrainConfig(learning_rate=1e-3)
    rates = [learning_rate(config, k / 100, k) for k in range(101)]
    assert rates[3] == pytest.approx(1e-3)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[100] == learning_rate(config, 1.7, 170) == pytest.approx(1e-5)
    middle = 0.03 + 0.97 / 2
    assert learning_rate(config, middle, 0) == pytest.approx(1e-3 * (0.01 + 0.99 / 2))
    # as it was before there were other schedules
    share = (0.4 - 0.03) / max(1 - 0.03, 1e-9)
    before = 1e-3 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
    assert learning_rate(config, 0.4, 40) == before


def test_constant_stays():
    assert {learning_rate(COLD.replace(schedule="constant"), f, 9) for f in (0, 0.5, 1)} == {0.5}


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([], 2, 0),
        ([0.1, 0.2, 0.3], 1, 0),
        ([0.3, 0.3, 0.3], 2, 1),
        ([0.3, 0.2, 0.4, 0.4, 0.1], 2, 1),
        ([0.5, 0.1, 0.2, 0.3, 0.4], 2, 2),
        ([0.5, 0.1, 0.2, 0.6, 0.3], 3, 0),
    ],
)
def test_plateaus_by_hand(scores, patience, expected):
    assert plateaus(scores, patience) == expected


def test_plateau_is_torchs():
    """Torch waits for one epoch more than its patience says."""
    config = COLD.replace(schedule="plateau", plateau_patience=3, lowest_rate=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=0.5, patience=2, threshold=0, threshold_mode="abs", min_lr=0.05
    )
    scores = []
    for score in torch.rand(60, generator=torch.Generator().manual_seed(0)).tolist():
        scores.append(score)
        oracle.step(score)
        assert learning_rate(config, 0, 0, scores) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_triangular2_is_torchs():
    """The rates of the Mask R-CNN paper: 1e-5 to 0.006, half a cycle of 5 steps."""
    config = COLD.replace(
        schedule="triangular2", learning_rate=0.006, lowest_rate=1e-5 / 0.006, cycle_steps=5
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1, momentum=0.9)
    oracle = torch.optim.lr_scheduler.CyclicLR(
        optimizer, 1e-5, 0.006, step_size_up=5, mode="triangular2"
    )
    for step in range(42):
        assert learning_rate(config, 0, step) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        oracle.step()
