"""HARU-Net (Chen et al.) and U²-Net (Qin et al. 2020), its body: U-Nets made of U-Nets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import (
    CBAM,
    ChannelAttention,
    ContextFusion,
    ResidualUBlock,
    enlarge,
)
from napari_cellseg.core.models.registry import MODELS, DenseModel, Maps, ModelParams

nn = torch.nn
functional = torch.nn.functional

Attention = Literal["channel-deepest", "everywhere", "none"]


class _Stage(NamedTuple):
    """One residual U-block, at the paper's size."""

    height: int
    inner: int
    outputs: int
    dilated: bool = False


_ENCODER = (
    _Stage(7, 32, 64),
    _Stage(6, 32, 128),
    _Stage(5, 64, 256),
    _Stage(4, 128, 512),
    _Stage(4, 256, 512, dilated=True),
    _Stage(4, 256, 512, dilated=True),
)
_DECODER = (
    _Stage(4, 256, 512, dilated=True),
    _Stage(4, 128, 256),
    _Stage(5, 64, 128),
    _Stage(6, 32, 64),
    _Stage(7, 16, 64),
)
_SMALL = 0.25  # an eleventh of the operations, a quarter of the time on a processor
_NARROWEST = 16


class HaruNetParams(ModelParams):
    """Parameters of HARU-Net; the switches give the rows of the paper's ablation."""

    attention: Attention = Field(
        "channel-deepest",
        title="Attention",
        description="CBAM on each skip connection and channel attention on the deepest features "
        "('channel-deepest'), CBAM there too ('everywhere'), or no attention ('none').",
    )
    fusion: bool = Field(
        True,
        title="Context fusion",
        description="Weigh the side maps by a CF-block before they are fused; "
        "otherwise they are only fused, as in U²-Net.",
    )


class _NestedUNet(DenseModel):
    """Six residual U-blocks down, five up, six side maps, and their fusion."""

    stride = 32
    head_names = ("sides", "fusion")

    def __init__(self, params: ModelParams, attention: Attention, fusion: bool) -> None:
        super().__init__(params)
        scaled = _scale(params.width)
        encoder, decoder = ([scaled(stage) for stage in part] for part in (_ENCODER, _DECODER))
        skips = [stage.outputs for stage in encoder]
        deep = [skips[-1], *(stage.outputs for stage in decoder)]
        self.encoder = nn.ModuleList(
            ResidualUBlock(s.height, inputs, s.inner, s.outputs, s.dilated)
            for s, inputs in zip(encoder, [params.in_channels, *skips[:-1]], strict=True)
        )
        self.decoder = nn.ModuleList(
            ResidualUBlock(s.height, below + skip, s.inner, s.outputs, s.dilated)
            for s, below, skip in zip(decoder, deep[:-1], skips[-2::-1], strict=True)
        )
        self.attention = nn.ModuleList(
            _attention(attention, channels, deepest=k == 5) for k, channels in enumerate(skips)
        )
        # The filters of the branches are independent: one convolution a stage holds them all.
        outputs = params.map_channels
        self.sides = nn.ModuleList(
            nn.Conv2d(channels, sum(outputs.values()), 3, padding=1) for channels in deep
        )
        fuse = ContextFusion if fusion else _PlainFusion
        self.fusion = nn.ModuleDict({name: fuse(6 * k, k) for name, k in outputs.items()})

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 32."""
        return self._fused(self._side_maps(image))

    def supervised_padded(self, image: torch.Tensor) -> list[Maps]:
        """Predict the fused maps, then the six side maps of each branch, fine to coarse."""
        sides = self._side_maps(image)
        return [self._fused(sides), *sides]

    def _fused(self, sides: list[Maps]) -> Maps:
        return {
            name: fuse(torch.cat([maps[name] for maps in sides], dim=1))
            for name, fuse in self.fusion.items()
        }

    def _side_maps(self, image: torch.Tensor) -> list[Maps]:
        """Return the logits of all side maps at the size of the image, fine to coarse."""
        x, skips = image, []
        for number, (block, attend) in enumerate(zip(self.encoder, self.attention, strict=True)):
            x = block(functional.max_pool2d(x, 2) if number else x)
            skips.append(attend(x))
        deep = skips.pop()
        sides = [self._side_map(0, deep)]
        for number, block in enumerate(self.decoder, 1):
            deep = block(torch.cat([enlarge(deep, 2), skips.pop()], dim=1))
            sides.append(self._side_map(number, deep))
        return sides[::-1]

    def _side_map(self, number: int, deep: torch.Tensor) -> Maps:
        # Channel by channel in memory, few channels are enlarged several times faster.
        logits = self.sides[number](deep).contiguous()
        return self.split(enlarge(logits, self.stride // 2**number))


class _PlainFusion(nn.Conv2d):
    """U²-Net's fusion of the side maps: a 1 x 1 convolution."""

    def __init__(self, sides: int, outputs: int) -> None:
        super().__init__(sides, outputs, 1)


def _scale(width: str | float) -> Callable[[_Stage], _Stage]:
    """Return what makes a stage of the paper narrower or wider."""
    factor = {"base": 1.0, "small": _SMALL}[width] if isinstance(width, str) else width

    def scaled(channels: int) -> int:
        # Narrower maps do not fill a vector register: they cost as much and know less.
        return max(_NARROWEST, round(channels * factor / _NARROWEST) * _NARROWEST)

    return lambda s: s._replace(inner=scaled(s.inner), outputs=scaled(s.outputs))


def _attention(kind: Attention, channels: int, deepest: bool) -> nn.Module:
    """Build what the features of one stage pass before they are decoded."""
    if kind == "none":
        return nn.Identity()
    return ChannelAttention(channels) if deepest and kind != "everywhere" else CBAM(channels)


@MODELS.register("u2net")
class U2Net(_NestedUNet):
    """U²-Net (Qin et al. 2020): HARU-Net without attention and context fusion."""

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params, attention="none", fusion=False)


@MODELS.register("haru-net")
class HaruNet(_NestedUNet):
    """HARU-Net (Chen et al., section 3.4, fig. 2): U²-Net with attention and fused branches.

    Each map of ``params.maps``, foreground and contour in the paper, is a branch on one body: six
    side maps, of the deepest stage and the five decoder stages, and their fusion. The paper gives
    the side maps a sigmoid before they are fused; read, as in U²-Net, as fused logits. It puts
    channel attention alone at "the deepest layer", 32 x 32 px of an image of 1000: read as the
    sixth stage, whose features it weighs before both the decoder and their side map.
    """

    Params = HaruNetParams

    def __init__(self, params: HaruNetParams) -> None:
        super().__init__(params, params.attention, params.fusion)
