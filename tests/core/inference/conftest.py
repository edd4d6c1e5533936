"""A network made by hand that finds bright discs, and images of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card


class DiscNet(torch.nn.Module):
    """Foreground where the blurred image is bright; no contours."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = torch.nn.Conv2d(3, 1, 5, padding=2)
        torch.nn.init.constant_(self.blur.weight, 1 / 75)
        torch.nn.init.constant_(self.blur.bias, -0.4)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen.append(tuple(image.shape))
        foreground = self.blur(image) * 16
        return {"foreground": foreground, "contour": torch.full_like(foreground, -8)}


@pytest.fixture
def disc_model() -> Model:
    """A model that needs no training; objects of 16 px are what it 'likes'."""
    card = Card(
        name="discs",
        architecture="by-hand",
        object_diameter=16,
        diameter_range=(10, 30),
        weights_sha256="0" * 64,
    )
    return Model(card, DiscNet().eval())


@pytest.fixture(scope="session")
def discs():  # type: ignore[no-untyped-def]
    """Return a function that draws discs of a diameter, on a grid of twice that distance."""

    def draw(
        height: int, width: int, diameter: float = 16, dtype: str = "uint16"
    ) -> npt.NDArray[np.generic]:
        pitch = 2 * diameter
        y = (np.arange(height) + 0.5) % pitch - pitch / 2
        x = (np.arange(width) + 0.5) % pitch - pitch / 2
        inside = np.hypot(y[:, None], x[None]) <= diameter / 2
        noise = np.random.default_rng(0).normal(0, 8, (height, width))
        return np.clip(np.where(inside, 200, 20) + noise, 0, 255).astype(dtype)

    return draw
