"""What a network puts out for a batch of tiles: named planes of probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.registry import type_probabilities
from napari_cellseg.core.zoo.card import Card

TYPE_PREFIX = "type: "
"""Put before an object type's name, so that no type can have the name of a map."""


def plane_names(card: Card) -> tuple[str, ...]:
    """Return the names of the planes of `forward`; ``"classes"`` has one for each object type."""
    types = tuple(TYPE_PREFIX + name for name in card.types)
    return tuple(plane for name in card.maps for plane in (types if name == "classes" else (name,)))


def forward(
    network: torch.nn.Module, inputs: npt.NDArray[np.float32], in_channels: int, device: str
) -> npt.NDArray[np.float32]:
    """Run a network.

    Parameters
    ----------
    network
        On `device`.
    inputs
        Normalised intensities ``(B, Y, X, C)``; a grey tile is repeated.
    in_channels
        Channels of the network.

    Returns
    -------
    Probabilities times 255, float32 ``(B, N, Y, X)``, in the order of `plane_names`.
    """
    dtype = next(network.parameters()).dtype
    with torch.inference_mode():
        # (B, Y, X, C) in memory is the channels-last layout of (B, C, Y, X)
        batch = torch.from_numpy(inputs).to(device=device, dtype=dtype).permute(0, 3, 1, 2)
        if batch.shape[1] < in_channels:
            batch = batch.expand(-1, in_channels, -1, -1)
            batch = batch.contiguous(memory_format=torch.channels_last)
        maps = network(batch)
        if "classes" not in maps:
            planes = torch.cat(list(maps.values()), dim=1).float().sigmoid_()
        else:
            planes = torch.cat(
                [
                    type_probabilities(logits) if name == "classes" else logits.float().sigmoid()
                    for name, logits in maps.items()
                ],
                dim=1,
            )
        probabilities: npt.NDArray[np.float32] = planes.mul_(255).cpu().numpy()
    return probabilities
