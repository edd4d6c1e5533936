"""A tiny network and its bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.zoo.bundle import save_bundle
from napari_cellseg.core.zoo.card import Card

PARAMS = {"width": 0.05}


@pytest.fixture(scope="session")
def tiny_network():  # type: ignore[no-untyped-def]
    """A randomly initialised attention LinkNet."""
    torch.manual_seed(0)
    return build_model("attention-linknet", PARAMS).eval()


@pytest.fixture
def tiny_card() -> Card:
    """The card that fits `tiny_network`."""
    return Card(name="tiny", title="Tiny", architecture="attention-linknet", params=PARAMS)


@pytest.fixture(scope="session")
def _saved(tiny_network, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    card = Card(name="tiny", title="Tiny", architecture="attention-linknet", params=PARAMS)
    save_bundle(folder, tiny_network, card)
    return folder


@pytest.fixture
def bundle(_saved: Path, tmp_path: Path) -> Path:
    """A folder with a saved bundle that the test may damage."""
    return Path(shutil.copytree(_saved, tmp_path / "tiny"))
