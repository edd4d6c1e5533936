"""Model bundles: a folder with a card and safetensors weights, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from napari_cellseg import __version__
from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import ModelError, OutputError, SettingsError
from napari_cellseg.core.models.registry import DenseModel, build_model
from napari_cellseg.core.zoo.card import CARD_FILE, Card

WEIGHTS_FILE = "weights.safetensors"

State = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Model:
    """A card and its network, float32 on the CPU, in evaluation mode.

    `variants` keeps the forms of the network that were made ready for a device.
    """

    card: Card
    network: torch.nn.Module
    variants: dict[str, torch.nn.Module] = field(default_factory=dict, repr=False)


def save_bundle(folder: Path, network: torch.nn.Module, card: Card) -> Card:
    """Write a bundle; an older one in its place is replaced only once the new one is complete.

    Matrices and kernels are stored as ``card.weights_dtype``. Vectors (biases, statistics of
    normalisation layers) always keep float32: they are small, and a variance may exceed float16.

    Parameters
    ----------
    folder
        Folder of the bundle; made, with its parents, if missing.
    network
        Trained network of the architecture that the card names.
    card
        Its card; hash, time and version are filled in here.

    Returns
    -------
    The card as written.

    Raises
    ------
    ModelError
        If the weights are not finite.
    OutputError
        If the folder cannot be written.
    """
    state = _to_store(network.state_dict(), card.weights_dtype)
    weights: bytes = gated_import("safetensors.torch").save(state)
    written = card.replace(
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        created=card.created or datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".bundle-", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "new"
            fresh.mkdir()
            (fresh / WEIGHTS_FILE).write_bytes(weights)
            (fresh / CARD_FILE).write_text(written.to_json(), encoding="utf-8")
            _put_in_place(fresh, folder, Path(scratch) / "old")
    except OSError as error:
        raise OutputError(
            f"The model cannot be saved in '{folder}': {error.strerror or error}. "
            "Choose a folder that you may write to, on a disk with free space."
        ) from error
    return written


def _put_in_place(fresh: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(fresh, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    if old.exists():
        shutil.rmtree(old)


def _to_store(state: State, dtype: str) -> State:
    stored: State = {}
    for name, tensor in state.items():
        if tensor.is_floating_point():
            narrow = dtype == "float16" and tensor.ndim > 1
            tensor = tensor.to(torch.float16 if narrow else torch.float32)
            if not torch.isfinite(tensor).all():
                raise ModelError(
                    f"The weights '{name}' are not finite, or too large for {dtype}: "
                    "train again with a smaller learning rate."
                )
        stored[name] = tensor.detach().cpu().contiguous().clone()
    return stored


def load_bundle(folder: Path) -> Model:
    """Load a bundle; nothing in it is ever unpickled or executed.

    Raises
    ------
    ModelError
        If card or weights are missing, damaged, changed since they were saved, or do not
        belong to the architecture that the card names.
    """
    card = Card.load(folder)
    state = _read_weights(folder / WEIGHTS_FILE, card)
    network = _build(card)
    _check_state(state, network.state_dict(), card)
    network.load_state_dict(state)  # copies into the network's own float32 tensors
    network.eval().requires_grad_(False)
    return Model(card, network)


def _read_weights(path: Path, card: Card) -> State:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"The weights of the model '{card.name}' cannot be read ({path}): "
            "install the model again."
        ) from error
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise ModelError(
            f"The weights of the model '{card.name}' are damaged or were changed "
            "(their hash differs from the card's): install the model again."
        )
    safetensors = gated_import("safetensors")
    try:
        state: State = gated_import("safetensors.torch").load(content)
    except safetensors.SafetensorError as error:
        raise ModelError(
            f"The weights of the model '{card.name}' are not in safetensors format: "
            "other formats may run foreign code and are not opened. Install the model again."
        ) from error
    return state


def _build(card: Card) -> DenseModel:
    try:
        network = build_model(card.architecture, card.params)
    except SettingsError as error:
        raise ModelError(
            f"The model '{card.name}' cannot be built here: {error} "
            "Update napari-cellseg, or install the plugin that brings this architecture."
        ) from error
    params = network.params
    if params.in_channels != card.in_channels or params.maps != card.maps:
        raise ModelError(
            f"The card of the model '{card.name}' contradicts itself: channels or maps differ "
            "from those of its architecture. Install the model again."
        )
    return network


def _check_state(state: State, expected: State, card: Card) -> None:
    missing = sorted(expected.keys() - state.keys())
    foreign = sorted(state.keys() - expected.keys())
    odd = sorted(k for k in state.keys() & expected.keys() if state[k].shape != expected[k].shape)
    if missing or foreign or odd:
        example = (missing + foreign + odd)[0]
        raise ModelError(
            f"The weights of the model '{card.name}' do not belong to '{card.architecture}' "
            f"({len(missing)} missing, {len(foreign)} foreign, {len(odd)} of another shape, such "
            f"as '{example}'): install the model again."
        )
    for name, tensor in state.items():
        if tensor.is_floating_point() != expected[name].is_floating_point() or (
            tensor.is_floating_point() and not torch.isfinite(tensor).all()
        ):
            raise ModelError(
                f"The weights '{name}' of the model '{card.name}' are not usable numbers: "
                "install the model again."
            )
