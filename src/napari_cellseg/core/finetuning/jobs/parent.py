"""The model that a fine-tuning starts from: packed with it, or installed."""

from __future__ import annotations

from pathlib import Path

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE
from napari_cellseg.core.zoo.store import ModelEntry, find_model, list_models

PARENT = "parent"
"""Folder of a parent that was packed with its job."""


def find_parent(name: str, sha256: str, packed: Path) -> ModelEntry:
    """Return the model to start from: the one that was packed, or an installed one.

    Parameters
    ----------
    name, sha256
        Of the model and its weights, when the job was made.
    packed
        Folder of the packed one; need not exist.

    Raises
    ------
    ModelError
        If it is missing, or has other weights now.
    """
    if (packed / CARD_FILE).exists():
        found = [ModelEntry(name, "file", packed, Card.load(packed))]
    else:
        found = [one for one in list_models() if one.card.weights_sha256 == sha256]
        found.sort(key=lambda one: one.name != name)
        found = found or [find_model(name)]
    if found[0].card.weights_sha256 != sha256:
        raise ModelError(
            f"The model '{name}' was changed since its training was prepared: prepare it again, "
            "or put the earlier model back."
        )
    return found[0]
