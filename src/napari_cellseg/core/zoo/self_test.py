"""The self-test of a bundle: a small image and the maps that the network must find in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.inference.predict import predict
from napari_cellseg.core.inference.preparation import Preparation
from napari_cellseg.core.inference.tiling import Tiling
from napari_cellseg.core.progress import finish
from napari_cellseg.core.zoo.bundle import Model, load_untested
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import (
    CARD_FILE,
    SELF_TEST_FILE,
    THUMBNAIL_FILE,
    read_all,
    read_entry,
    write_folder,
)
from napari_cellseg.core.zoo.record import remember_success, succeeded_before
from napari_cellseg.core.zoo.sample import Pixels, middle, sample_tile
from napari_cellseg.core.zoo.thumbnail import draw_thumbnail

Maps = Mapping[str, npt.NDArray[np.uint8]]

LARGEST_SIDE = 256
"""Pixels of a larger tile around its middle are used."""

MEAN_TOLERANCE = 0.01
"""Mean difference of a map's probabilities that a processor's rounding may explain.

Between float32 and bfloat16 it is about 0.0005; percentiles that are slightly off give 0.01."""

FAR_OFF = 0.1
SHARE_TOLERANCE = 0.02
"""Share of pixels whose probability may be off by more than `FAR_OFF`."""

_TILE = "tile"


@dataclass(frozen=True)
class Deviation:
    """How far the maps are from what is expected, for the map that is furthest off.

    Attributes
    ----------
    mean
        Mean absolute difference of the probabilities.
    share
        Share of pixels whose probability is off by more than 0.1.
    """

    mean: float
    share: float

    @property
    def accepted(self) -> bool:
        """Whether the rounding of different processors may explain it."""
        return self.mean <= MEAN_TOLERANCE and self.share <= SHARE_TOLERANCE

    def __str__(self) -> str:
        return (
            f"mean difference {self.mean:.4f} of at most {MEAN_TOLERANCE}, "
            f"{self.share:.1%} of the pixels far off of at most {SHARE_TOLERANCE:.0%}"
        )


def add_self_test(folder: Path, tile: Pixels | None = None) -> Card:
    """Put self-test and thumbnail into a finished bundle, in place of earlier ones.

    Parameters
    ----------
    folder
        Folder of the bundle.
    tile
        Image (Y, X) or (Y, X, C) with such channels as the model takes, with some objects in it;
        its middle 256 x 256 px are used. By default a public-domain sample image serves, and
        the thumbnail is left out, because the model may be made for images that look different.

    Returns
    -------
    The card as written.

    Raises
    ------
    ModelError
        If the bundle cannot be loaded.
    ChannelError, ImageError
        If the tile is no image that the model takes.
    OutputError
        If the folder cannot be written.
    """
    model = load_untested(folder)
    pixels = sample_tile(model.card) if tile is None else middle(tile, LARGEST_SIDE)
    maps = _run(model, pixels, "cpu")
    stored = {_TILE: pixels, **maps}
    content: bytes = gated_import("safetensors.numpy").save(
        {name: np.ascontiguousarray(array) for name, array in stored.items()}
    )
    card = model.card.replace(self_test_sha256=hashlib.sha256(content).hexdigest())
    contents = read_all(folder)
    contents |= {CARD_FILE: card.to_json().encode(), SELF_TEST_FILE: content}
    if tile is None:
        contents.pop(THUMBNAIL_FILE, None)
    else:
        contents[THUMBNAIL_FILE] = draw_thumbnail(pixels, maps, card)
    write_folder(folder, contents)
    return card


def check(model: Model, bundle: Path, device: str = "cpu") -> Deviation | None:
    """Run the self-test of a bundle.

    Parameters
    ----------
    model
        The loaded bundle.
    bundle
        Its folder or zip.
    device
        Device in torch's spelling.

    Returns
    -------
    How far the maps are from the expected ones; None if the bundle has no self-test.

    Raises
    ------
    ModelError
        If the self-test is damaged, or the model finds something else.
    """
    expected = _read(bundle, model.card)
    if expected is None:
        return None
    tile = expected.pop(_TILE)
    # A model of its own: the form that it takes for this device is not kept.
    maps = _run(Model(model.card, model.network), tile, device)
    if maps.keys() != expected.keys() or any(maps[k].shape != expected[k].shape for k in maps):
        raise _damaged(model.card)
    deviation = _worst(maps, expected)
    if not deviation.accepted:
        raise ModelError(
            f"The model '{model.card.name}' does not find on this computer what it should find in "
            f"its self-test ({deviation}): update napari-cellseg and torch, and install the model "
            "again."
        )
    return deviation


def check_once(model: Model, bundle: Path) -> None:
    """Run the self-test unless it has succeeded before, with the same weights and versions.

    Raises
    ------
    ModelError
        As `check`.
    """
    if not succeeded_before(model.card, torch.__version__):
        check(model, bundle)
        remember_success(model.card, torch.__version__)


def _run(model: Model, tile: Pixels, device: str) -> dict[str, npt.NDArray[np.uint8]]:
    card = model.card
    if tile.ndim == 2:
        image = Image(tile, "YX", name="self-test")
    else:
        colour = tile.shape[2] == 3 and "rgb" in card.channels
        image = Image(tile, "YXC", rgb=colour, name="self-test")
    preparation = Preparation(**card.normalization.model_dump())
    prediction = finish(predict(model, image, preparation, Tiling(), device, scale=1.0))
    if prediction.instances:
        return {"foreground": prediction.instances[()].as_map()}  # objects found one by one
    return {**prediction.maps, **{f"class {k}": v for k, v in prediction.classes.items()}}


def _worst(maps: Maps, expected: Mapping[str, Pixels]) -> Deviation:
    differences = [
        np.abs(maps[name].astype(np.float64) - expected[name].astype(np.float64)) / 255
        for name in maps
    ]
    return Deviation(
        max(float(one.mean()) for one in differences),
        max(float((one > FAR_OFF).mean()) for one in differences),
    )


def _read(bundle: Path, card: Card) -> dict[str, Pixels] | None:
    if not card.self_test_sha256:
        return None
    try:
        content = read_entry(bundle, SELF_TEST_FILE)
    except OSError as error:
        raise _damaged(card) from error
    if hashlib.sha256(content).hexdigest() != card.self_test_sha256:
        raise _damaged(card)
    try:
        arrays: dict[str, Pixels] = gated_import("safetensors.numpy").load(content)
    except gated_import("safetensors").SafetensorError as error:
        raise _damaged(card) from error
    tile = arrays.get(_TILE)
    if tile is None or tile.ndim not in (2, 3) or max(tile.shape[:2]) > LARGEST_SIDE:
        raise _damaged(card)
    return arrays


def _damaged(card: Card) -> ModelError:
    return ModelError(
        f"The self-test of the model '{card.name}' is missing or damaged: install the model again."
    )
