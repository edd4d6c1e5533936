"""U-Net++ with attention gates at chosen nodes (Yang et al. 2022)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import AttentionGate, ConvBlock, DoubleConv, UpConvBlock
from napari_cellseg.core.models.registry import MODELS, DenseModel, Maps, ModelParams
from napari_cellseg.core.models.width import level_channels

nn = torch.nn
functional = torch.nn.functional

GateName = Literal[
    "G0.1", "G0.2", "G0.3", "G0.4", "G1.1", "G1.2", "G1.3", "G2.1", "G2.2", "G3.1"
]  # fmt: skip


class UNetPPAttentionParams(ModelParams):
    """Parameters of U-Net++ with attention gates."""

    gates: tuple[GateName, ...] = Field(
        ("G2.1", "G1.2", "G0.3"),
        title="Attention gates",
        description="Nodes with a gate: 'Gi.j' stands before node j of level i; "
        "the paper's best pair is G2.1 and G0.3.",
    )
    deep_supervision: bool = Field(
        False,
        title="Deep supervision",
        description="Let training also compare the earlier nodes of the full resolution "
        "with the truth.",
    )

    @field_validator("gates")
    @classmethod
    def _named_once(cls, gates: tuple[GateName, ...]) -> tuple[GateName, ...]:
        if len(set(gates)) != len(gates):
            raise ValueError("a gate is named twice")
        return gates


class _Node(nn.Module):
    """Node X(i, j): all earlier nodes of its level and the enlarged X(i + 1, j - 1), convolved."""

    def __init__(self, deep: int, channels: int, earlier: int, gated: bool) -> None:
        super().__init__()
        self.gate = AttentionGate(channels, deep, inner=channels, fine=True) if gated else None
        self.join = UpConvBlock(deep, earlier * channels, channels)
        self.refine = ConvBlock(channels, channels)

    def forward(self, deep: torch.Tensor, row: list[torch.Tensor]) -> torch.Tensor:
        *earlier, last = row
        if self.gate is not None:
            last = self.gate(last, deep)
        result: torch.Tensor = self.refine(self.join(deep, torch.cat([*earlier, last], dim=1)))
        return result


@MODELS.register("unetpp-attention")
class UNetPPAttention(DenseModel):
    """U-Net++ of five levels (32 to 512 channels) with an attention gate at any of its ten nodes.

    A gate G(i, j) weighs X(i, j - 1), the node before, by the enlarged X(i + 1, j - 1). The paper
    prints its sizes as three numbers, [128, 256, 256] for G2.1; read as the level's own width, here
    also that of the shared space, and the next coarser level's width.
    """

    Params = UNetPPAttentionParams
    stride = 16
    head_names = ("head", "auxiliary_heads")

    def __init__(self, params: UNetPPAttentionParams) -> None:
        super().__init__(params)
        widths = level_channels(params.width)
        inputs = [params.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(map(DoubleConv, inputs, widths))
        self.nodes = nn.ModuleDict()
        for j in range(1, len(widths)):
            for i in range(len(widths) - j):
                gated = f"G{i}.{j}" in params.gates
                self.nodes[f"X{i}-{j}"] = _Node(widths[i + 1], widths[i], j, gated)
        outputs = sum(params.map_channels.values())
        self.head = nn.Conv2d(widths[0], outputs, 1)
        # For X(0, 3), X(0, 2) and X(0, 1).
        count = len(widths) - 2 if params.deep_supervision else 0
        self.auxiliary_heads = nn.ModuleList(nn.Conv2d(widths[0], outputs, 1) for _ in range(count))

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 16."""
        return self.split(self.head(self._full_resolution(image)[-1]))

    def supervised_padded(self, image: torch.Tensor) -> list[Maps]:
        """Predict the logits of X(0, 4) and, with deep supervision, of X(0, 3) to X(0, 1)."""
        row = self._full_resolution(image)
        heads = [self.head, *self.auxiliary_heads]
        return [self.split(head(x)) for head, x in zip(heads, row[::-1], strict=False)]

    def _full_resolution(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return X(0, 0) to X(0, 4)."""
        rows: list[list[torch.Tensor]] = []
        for block in self.encoder:
            rows.append([block(functional.max_pool2d(rows[-1][0], 2) if rows else image)])
        for j in range(1, len(rows)):
            for i in range(len(rows) - j):
                node = self.nodes[f"X{i}-{j}"]
                rows[i].append(node(rows[i + 1][j - 1], rows[i]))
        return rows[0]
