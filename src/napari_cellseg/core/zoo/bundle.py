"""Model bundles: a card and safetensors weights, written whole or not at all, loaded warily."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from napari_cellseg import __version__
from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import ModelError, SettingsError
from napari_cellseg.core.models.detector import Detector, build_network
from napari_cellseg.core.models.registry import DenseModel
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, WEIGHTS_FILE, read_entry, write_folder
from napari_cellseg.core.zoo.store import is_included

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
    A self-test is put in afterwards, by `add_self_test`.

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
        self_test_sha256="",
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        created=card.created or datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
    )
    write_folder(folder, {WEIGHTS_FILE: weights, CARD_FILE: written.to_json().encode()})
    return written


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


def load_bundle(bundle: Path) -> Model:
    """Load a bundle; nothing in it is ever unpickled or executed.

    The first time that a bundle from elsewhere is loaded, its self-test must succeed; an included
    one is tested by ``doctor`` and ``models show --check`` alone, because loading has to be fast.

    Parameters
    ----------
    bundle
        Folder or zip.

    Raises
    ------
    ModelError
        If card or weights are missing, damaged, changed since they were saved, or do not
        belong to the architecture that the card names, or the self-test fails.
    """
    model = load_untested(bundle)
    if model.card.self_test_sha256 and not is_included(bundle):
        from napari_cellseg.core.zoo.self_test import check_once

        check_once(model, bundle)
    return model


def load_untested(bundle: Path) -> Model:
    """Load a bundle without its self-test, otherwise as `load_bundle`."""
    card = Card.load(bundle)
    state = _read_weights(bundle, card)
    network = _build(card)
    _check_state(state, network.state_dict(), card)
    network.load_state_dict(state)  # copies into the network's own float32 tensors
    network.eval().requires_grad_(False)
    return Model(card, network)


def _read_weights(bundle: Path, card: Card) -> State:
    try:
        content = read_entry(bundle, WEIGHTS_FILE)
    except FileNotFoundError as error:
        raise ModelError(
            f"The model '{card.name}' holds no {WEIGHTS_FILE}; weights in other formats may run "
            "foreign code and are not opened. Get the model again."
        ) from error
    except OSError as error:
        raise ModelError(
            f"The weights of the model '{card.name}' cannot be read ({bundle / WEIGHTS_FILE}): "
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


def _build(card: Card) -> DenseModel | Detector:
    try:
        network = build_network(card.architecture, card.params)
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
