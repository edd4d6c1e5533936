"""Cheaper forms of a network's convolutions for prediction on a processor, with equal results.

Three identities are used. An activation can be computed while its convolution's result is still
in the cache. A 3 x 3 convolution of a map that was enlarged twofold by repetition sees each source
pixel several times: 2 x 2 convolutions of the small map, one for each of the four positions of a
pixel in its block, take 4 products where it takes 9. And a convolution with very few outputs fills
a vector register better if it computes a block of 2 x 2 pixels at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from napari_cellseg.core._torch import torch
from napari_cellseg.core.models.blocks import UpConvBlock
from napari_cellseg.core.models.efficientnet import SamePaddedConv

nn = torch.nn
functional = torch.nn.functional

ACTIVATIONS = {nn.ReLU: "relu", nn.SiLU: "swish"}
_CONVOLUTION = "_convolution_pointwise"
_WORDS = {4: torch.int32, 8: torch.int64}  # by bytes
_FEW = 4  # outputs up to which a convolution is computed block by block


def can_fuse() -> bool:
    """Whether this torch has oneDNN's convolution with an activation."""
    is_available: Callable[[], bool] = torch.backends.mkldnn.is_available
    return is_available() and hasattr(torch.ops.mkldnn, _CONVOLUTION)


def _convolve(
    x: torch.Tensor, conv: _Kernel, activation: str, add_to: torch.Tensor | None = None
) -> torch.Tensor:
    """Convolve, add to a map, and apply an activation ("relu", "swish" or "none")."""
    fixed = (conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups)
    # The operations that torch.compile calls; that they work here was tried (`fuse_convolutions`).
    if add_to is None:
        op: Callable[..., torch.Tensor] = getattr(torch.ops.mkldnn, _CONVOLUTION)
        return op(x, *fixed, activation, [], "")
    unary = None if activation == "none" else activation
    add: Callable[..., torch.Tensor] = getattr(torch.ops.mkldnn, f"{_CONVOLUTION}_").binary
    return add(add_to, x, *fixed, "add", 1.0, unary, [], "")


class _Kernel(nn.Module):
    """Weights and geometry of a convolution."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        padding: int = 0,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.padding, self.stride = [padding] * 2, [stride] * 2
        self.dilation, self.groups = [dilation] * 2, groups


class FusedConv(nn.Module):
    """A convolution with its activation."""

    def __init__(self, conv: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self._activation, self._before = activation, (0, 0)
        weight, padding = conv.weight, int(conv.padding[0])
        if isinstance(conv, SamePaddedConv) and conv.stride[0] > 1:
            if conv.groups > 1:
                # A row and a column of zeros make the padding the same on all sides.
                weight, padding = functional.pad(weight, (1, 0, 1, 0)), conv.before + 1
            else:
                self._before = (conv.before, conv.after)
        self.kernel = _Kernel(
            weight, conv.bias, padding, conv.stride[0], conv.groups, conv.dilation[0]
        )

    @staticmethod
    def fits(conv: nn.Module) -> bool:
        """Whether `conv` is of a kind that this class computes."""
        return (
            isinstance(conv, nn.Conv2d)
            and conv.padding_mode == "zeros"
            and all(
                isinstance(pair, tuple) and pair[0] == pair[1]
                for pair in (conv.padding, conv.stride, conv.dilation)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve and activate `x` ``(B, C, Y, X)``."""
        if any(self._before):
            x = functional.pad(x, self._before * 2)
        return _convolve(x, self.kernel, self._activation)


def _interleaved(
    blocks: torch.Tensor, height: int, width: int, shifts: tuple[int, int]
) -> torch.Tensor:
    """Put the four positions of 2 x 2 blocks side by side.

    Parameters
    ----------
    blocks
        ``(B, 4 C, Y, X)``: all channels of the positions (0, 0), (0, 1), (1, 0), (1, 1).
    height, width
        Blocks along the sides of the result.
    shifts
        Where the upper and where the lower (the left and the right) positions begin in `blocks`.
    """
    last = blocks.permute(0, 2, 3, 1)  # channels are last in memory already
    count, channels = len(last), last.shape[-1] // 4
    word = _WORDS.get(channels * last.element_size()) if channels > 1 else None
    if word and last.stride(-1) == 1 and all(s % channels == 0 for s in last.stride()[:-1]):
        # a pixel is moved as one number, whatever its channels mean: far fewer steps
        moved = _interleaved(last.view(word).permute(0, 3, 1, 2), height, width, shifts)
        return moved.permute(0, 2, 3, 1).view(blocks.dtype).permute(0, 3, 1, 2)
    result = last.new_empty((count, height, 2, width, 2, channels))
    for a, row in enumerate(shifts):
        for b, column in enumerate(shifts):
            part = slice((2 * a + b) * channels, (2 * a + b + 1) * channels)
            source = last[:, row : row + height, column : column + width, part]
            result[:, :, a, :, b] = source
    return result.view(count, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


class FusedUpConv(nn.Module):
    """An `UpConvBlock`, its normalisation folded, that never makes the enlarged map."""

    def __init__(self, block: UpConvBlock) -> None:
        super().__init__()
        conv: Any = block[0]
        deep, skip = conv.weight.split(
            [block.deep_channels, conv.in_channels - block.deep_channels], dim=1
        )
        self.skip = _Kernel(skip, conv.bias, padding=1) if skip.shape[1] else None
        bias = None if self.skip or conv.bias is None else conv.bias.repeat(4)
        self.deep = _Kernel(_of_source(deep), bias, padding=1)

    @staticmethod
    def fits(block: UpConvBlock) -> bool:
        """Whether normalisation is folded and ReLU follows."""
        conv, norm, activation = block
        return (
            isinstance(conv, nn.Conv2d)
            and FusedConv.fits(conv)
            and conv.kernel_size == (3, 3)
            and isinstance(norm, nn.Identity)
            and isinstance(activation, nn.ReLU)
        )

    def forward(self, deep: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        """Join `deep` ``(B, C, Y, X)`` and `skip` ``(B, C', 2 Y, 2 X)``."""
        height, width = deep.shape[-2:]
        blocks = _convolve(deep, self.deep, "none" if self.skip else "relu")
        joined = _interleaved(blocks, height, width, (0, 1))
        if self.skip is None or skip is None:
            return joined
        return _convolve(skip, self.skip, "relu", add_to=joined)


def _of_source(weight: torch.Tensor) -> torch.Tensor:
    """Turn a 3 x 3 kernel over an enlarged map into four 2 x 2 kernels over its source.

    The upper pixel of a block sees the source pixel above it once and its own twice, the lower one
    its own twice and the one below once; the same holds for left and right.
    """

    def halves(kernel: torch.Tensor, axis: int) -> list[torch.Tensor]:
        first, second, third = kernel.unbind(axis)
        return [
            torch.stack([first, second + third], axis),
            torch.stack([first + second, third], axis),
        ]

    return torch.cat([part for rows in halves(weight, 2) for part in halves(rows, 3)])


class BlockwiseConv(nn.Module):
    """A 3 x 3 convolution with few outputs that computes 2 x 2 pixels at once."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        parts = [functional.pad(conv.weight, (b, 1 - b, a, 1 - a)) for a in (0, 1) for b in (0, 1)]
        bias = None if conv.bias is None else conv.bias.repeat(4)
        self.plain = _Kernel(conv.weight, conv.bias, padding=1)
        self.kernel = _Kernel(torch.cat(parts), bias, padding=1, stride=2)

    @staticmethod
    def fits(conv: nn.Module) -> TypeGuard[nn.Conv2d]:
        """Whether `conv` is a plain 3 x 3 convolution with few outputs."""
        return (
            type(conv) is nn.Conv2d
            and FusedConv.fits(conv)
            and conv.kernel_size == (3, 3)
            and conv.out_channels <= _FEW
            and (conv.stride, conv.padding, conv.dilation, conv.groups)
            == ((1, 1), (1, 1), (1, 1), 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve `x` ``(B, C, Y, X)``."""
        height, width = x.shape[-2:]
        if height % 2 or width % 2:
            return _convolve(x, self.plain, "none")
        return _interleaved(_convolve(x, self.kernel, "none"), height // 2, width // 2, (0, 0))


def replace_modules(
    network: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]
) -> None:
    """Put ``replacement(module)`` in the place of each module for which it is not None."""
    for name, child in list(network.named_children()):
        new: Any = replacement(child)
        if new is None:
            replace_modules(child, replacement)
        else:
            setattr(network, name, new)
