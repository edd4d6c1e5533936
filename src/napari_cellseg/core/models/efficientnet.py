"""EfficientNet-B0 as an encoder (Tan & Le 2019), without the import of a library of networks.

Parameters have the names and the arithmetic of segmentation-models-pytorch's encoder of the same
name, so weights go both ways; importing that library costs seconds and half a gigabyte, which a
person who only wants to segment need not pay.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional

_STEM = 32
_ENDS = (2, 4, 8, 15)  # blocks whose results are features, as segmentation-models-pytorch has it
_DROP_PATH = 0.2  # of the deepest block; it rises linearly from 0


@dataclass(frozen=True)
class _Stage:
    """Blocks of one kind; the first takes the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SamePaddedConv(nn.Conv2d):
    """Convolution whose output has 1/stride of the input's size; pads below and right first.

    At stride 2 the padding is that of TensorFlow, which differs between the sides.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(
            inputs, outputs, kernel, stride, padding=padding, groups=groups, bias=False
        )
        self.before, self.after = (kernel - 2) // 2, (kernel - 1) // 2

    def padded(self, image: torch.Tensor) -> torch.Tensor:
        """Return what is convolved without a further border."""
        return functional.pad(image, (self.before, self.after) * 2) if self.stride[0] > 1 else image

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Convolve; at stride 2 the sides of `input` must be even."""
        return super().forward(self.padded(input))


class _Block(nn.Module):
    """Inverted residual: expand, depthwise convolution, squeeze-and-excitation, project."""

    def __init__(self, inputs: int, stage: _Stage, stride: int, drop_path: float) -> None:
        super().__init__()
        inner, squeezed = inputs * stage.expansion, max(1, inputs // 4)
        self.expands = stage.expansion > 1
        if self.expands:
            self._expand_conv = SamePaddedConv(inputs, inner, 1)
            self._bn0 = _norm(inner)
            self._act0 = nn.SiLU()
        self._depthwise_conv = SamePaddedConv(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._act1 = nn.SiLU()
        self._se_reduce = nn.Conv2d(inner, squeezed, 1)
        self._act_se = nn.SiLU()
        self._se_expand = nn.Conv2d(squeezed, inner, 1)
        self._project_conv = SamePaddedConv(inner, stage.channels, 1)
        self._bn2 = _norm(stage.channels)
        self.residual = stride == 1 and inputs == stage.channels
        self.drop_path = drop_path

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = inputs
        if self.expands:
            x = self._act0(self._bn0(self._expand_conv(x)))
        x = self._act1(self._bn1(self._depthwise_conv(x)))
        gate = self._act_se(self._se_reduce(functional.adaptive_avg_pool2d(x, 1)))
        x = torch.sigmoid(self._se_expand(gate)) * x
        x = self._bn2(self._project_conv(x))
        if not self.residual:
            return x
        if self.training and self.drop_path:
            x = self._dropped(x)
        return x + inputs

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        """Leave the block out for some images of the batch (Huang et al. 2016)."""
        keep = 1 - self.drop_path
        mask = torch.rand((len(x), 1, 1, 1), dtype=x.dtype, device=x.device).add_(keep).floor_()
        dropped: torch.Tensor = x / keep * mask
        return dropped


class EfficientNetB0(nn.Module):
    """Five stages of features of an image.

    Parameters
    ----------
    in_channels
        Channels of the image.

    Attributes
    ----------
    out_channels
        Channels of the image itself and of the features at strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.out_channels = (in_channels, _STEM, 24, 40, 112, 320)
        self._conv_stem = SamePaddedConv(in_channels, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        self._act0 = nn.SiLU()
        self._blocks = nn.ModuleList()
        total, inputs = sum(stage.blocks for stage in _STAGES), _STEM
        for stage in _STAGES:
            for k in range(stage.blocks):
                drop_path = _DROP_PATH * len(self._blocks) / total
                stride = stage.stride if k == 0 else 1
                self._blocks.append(_Block(inputs, stage, stride, drop_path))
                inputs = stage.channels

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the image and its features, from fine to coarse.

        Parameters
        ----------
        image
            ``(B, C, Y, X)``; Y and X are multiples of 32.
        """
        x = self._act0(self._bn0(self._conv_stem(image)))
        features = [image, x]
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in _ENDS:
                features.append(x)
        return features
