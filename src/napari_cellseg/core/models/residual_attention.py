"""Attention U-Net and attention LinkNet on a residual encoder (Abbas & Abdulmunim 2023)."""

from __future__ import annotations

from pydantic import Field

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.models.blocks import AttentionGate, ConvBlock, UNetStep
from napari_cellseg.core.models.efficientnet import EfficientNetB0
from napari_cellseg.core.models.registry import MODELS, DenseModel, Maps, ModelParams
from napari_cellseg.core.models.width import level_channels

nn = torch.nn

_DECODER = {"base": (256, 128, 64, 32, 16), "small": (128, 64, 48, 32, 16)}


class ResidualAttentionParams(ModelParams):
    """Parameters of both attention networks of the paper."""

    encoder: str = Field(
        "efficientnet-b0",
        title="Encoder",
        description=(
            "'efficientnet-b0', or any encoder of segmentation-models-pytorch with five stages."
        ),
    )
    attention: bool = Field(
        True, title="Attention gates", description="Gate every skip connection."
    )

    @property
    def decoder_channels(self) -> tuple[int, ...]:
        """Channels of the five decoder steps, from the deepest to the full resolution."""
        return level_channels(self.width, _DECODER)


def _make_encoder(name: str, in_channels: int) -> nn.Module:
    """Build an encoder without its unused classification layers."""
    if name == "efficientnet-b0":
        return EfficientNetB0(in_channels)
    encoders = gated_import("segmentation_models_pytorch").encoders
    try:
        encoder: nn.Module = encoders.get_encoder(
            name, in_channels=in_channels, depth=5, weights=None
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise SettingsError(
            f"The encoder '{name}' cannot be built: {error}. Choose one that "
            "segmentation-models-pytorch lists with five stages, such as 'efficientnet-b0'."
        ) from error
    for unused in ("_conv_head", "_bn1", "_avg_pooling", "_dropout"):
        if hasattr(encoder, unused):
            delattr(encoder, unused)
    return encoder


class _LinkNetStep(nn.Module):
    """Reduce, transposed convolution, expand, add the gated skip (Chaurasia & Culurciello 2017)."""

    def __init__(self, inputs: int, skip: int, outputs: int, attention: bool) -> None:
        super().__init__()
        inner = max(inputs // 4, 4)
        self.gate = AttentionGate(skip, inputs) if skip and attention else None
        self.reduce = ConvBlock(inputs, inner, 1)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(inner, inner, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
        )
        self.expand = ConvBlock(inner, outputs, 1)

    def forward(self, deep: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        up: torch.Tensor = self.expand(self.up(self.reduce(deep)))
        if skip is None:
            return up
        return up + (skip if self.gate is None else self.gate(skip, deep))


class _ResidualAttention(DenseModel):
    """Encoder, five decoder steps with gated skips, one convolution for all maps."""

    Params = ResidualAttentionParams
    stride = 32

    def __init__(self, params: ResidualAttentionParams) -> None:
        super().__init__(params)
        self.encoder = _make_encoder(params.encoder, params.in_channels)
        channels: list[int] = list(getattr(self.encoder, "out_channels"))  # noqa: B009
        if len(channels) != 6:
            raise SettingsError(
                f"The encoder '{params.encoder}' has {len(channels) - 1} stages: choose one with 5."
            )
        # Skips from deep to shallow; the full-resolution step has none: the image is no skip.
        skips = [*channels[-2:0:-1], 0]
        self.steps = nn.ModuleList(self._make_steps(channels[-1], skips, params))
        outputs = sum(params.map_channels.values())
        self.head = nn.Conv2d(self.out_channels(params), outputs, 3, padding=1)

    def _make_steps(
        self, deepest: int, skips: list[int], params: ResidualAttentionParams
    ) -> list[nn.Module]:
        raise TypeError("use attention-unet or attention-linknet")

    def out_channels(self, params: ResidualAttentionParams) -> int:
        """Channels of the last decoder step."""
        return params.decoder_channels[-1]

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 32."""
        _, *features = self.encoder(image)
        deep = features[-1]
        for step, skip in zip(self.steps, [*features[-2::-1], None], strict=True):
            deep = step(deep, skip)
        return self.split(self.head(deep))


@MODELS.register("attention-unet")
class AttentionUNet(_ResidualAttention):
    """U-Net with an EfficientNet-B0 encoder and an attention gate on each skip.

    The paper (Fig. 2 and 5) takes its skips from expanded activations of another EfficientNet port;
    here they are the stage outputs of segmentation-models-pytorch, so parameters are fewer.
    """

    def _make_steps(
        self, deepest: int, skips: list[int], params: ResidualAttentionParams
    ) -> list[nn.Module]:
        outputs = params.decoder_channels
        inputs = [deepest, *outputs[:-1]]
        return [
            UNetStep(i, s, o, params.attention)
            for i, s, o in zip(inputs, skips, outputs, strict=True)
        ]


@MODELS.register("attention-linknet")
class AttentionLinkNet(_ResidualAttention):
    """LinkNet with an EfficientNet-B0 encoder: the gated skip is added, not concatenated.

    Each decoder step ends with as many channels as its skip, so ``width`` sets the last step alone.
    """

    def _make_steps(
        self, deepest: int, skips: list[int], params: ResidualAttentionParams
    ) -> list[nn.Module]:
        outputs = [*skips[:-1], self.out_channels(params)]
        inputs = [deepest, *outputs[:-1]]
        return [
            _LinkNetStep(i, s, o, params.attention)
            for i, s, o in zip(inputs, skips, outputs, strict=True)
        ]

    def out_channels(self, params: ResidualAttentionParams) -> int:
        """Channels of the last decoder step: 32 in LinkNet, scaled by ``width``."""
        return {"base": 32, "small": 16}.get(str(params.width)) or params.decoder_channels[-1] * 2
