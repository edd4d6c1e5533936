"""Steps of decoders: from a coarse map to one of twice the size."""

from __future__ import annotations

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks.attention import AttentionGate
from napari_cellseg.core.models.blocks.convolution import ConvBlock, UpConvBlock

nn = torch.nn


class UNetStep(nn.Module):
    """Up-sample, concatenate the gated skip, two convolutions.

    Parameters
    ----------
    inputs, skip, outputs
        Channels of the coarse map, of the skip connection (0 for none) and of the result.
    attention
        Whether an `AttentionGate`, steered by the coarse map, stands in the skip connection.
    """

    def __init__(self, inputs: int, skip: int, outputs: int, attention: bool = True) -> None:
        super().__init__()
        self.gate = AttentionGate(skip, inputs) if skip and attention else None
        self.convs = nn.ModuleList(
            [UpConvBlock(inputs, skip, outputs), ConvBlock(outputs, outputs)]
        )

    def forward(self, deep: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """Join `deep` ``(B, C, Y, X)`` and `skip` ``(B, C', 2 Y, 2 X)``."""
        if skip is not None and self.gate is not None:
            skip = self.gate(skip, deep)
        join, refine = self.convs
        result: torch.Tensor = refine(join(deep, skip))
        return result
