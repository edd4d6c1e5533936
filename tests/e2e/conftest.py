"""A model whose right answer is known, installed where the user's own models lie."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def bright_model(cellseg_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a network that calls everything bright foreground, and return its name."""
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.models.registry import MODELS, DenseModel, ModelParams
    from napari_cellseg.core.zoo.bundle import save_bundle
    from napari_cellseg.core.zoo.card import Card

    class Brightness(DenseModel):
        Params = ModelParams
        stride = 1

        def __init__(self, params: ModelParams) -> None:
            super().__init__(params)
            self.mix = torch.nn.Conv2d(params.in_channels, 2, 1)
            with torch.no_grad():
                self.mix.weight[0], self.mix.weight[1] = 16 / params.in_channels, 0
                self.mix.bias[0], self.mix.bias[1] = -8, -8

        def forward_padded(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return self.split(self.mix(image))

    MODELS.names()
    monkeypatch.setitem(MODELS._members, "brightness", Brightness)
    card = Card(name="bright", title="Bright things", architecture="brightness")
    save_bundle(cellseg_home / "models" / "bright", Brightness(ModelParams()), card)
    return "bright"
