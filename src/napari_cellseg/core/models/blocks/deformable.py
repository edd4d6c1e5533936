"""Deformable convolution: the kernel's points go where the image wants them."""

from __future__ import annotations

from napari_cellseg.core._torch import torch

nn = torch.nn
functional = torch.nn.functional

_POINTS = 9  # of a 3 x 3 kernel
_STRIP = 2**12  # pixels that are sampled at once: their samples stay in the cache


class DeformableConv(nn.Module):
    """3 x 3 convolution with learnt offsets (Dai et al. 2017, without modulation).

    ``y(p0) = sum over p_n of w(p_n) x(p0 + p_n + offset_n(p0))``, bilinear between pixels, zero
    outside. The offsets come from a convolution that starts at zero, as a plain one therefore.
    Order and sign of weights and offsets are those of ``torchvision.ops.DeformConv2d``, which
    takes four times as long on a processor and knows no bfloat16 there. Positions need more digits
    than bfloat16 has: whatever the precision of the network, sampling is done in float32.

    Parameters
    ----------
    inputs, outputs
        Channels before and after.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, 3)
        self.weight, self.bias = plain.parameters()
        self.offset = nn.Conv2d(inputs, 2 * _POINTS, 3, padding=1)
        for zero in self.offset.parameters():
            nn.init.zeros_(zero)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve `x` ``(B, C, Y, X)``; the size is kept."""
        offsets = self.offset(x)
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            inputs = (t.to(dtype) for t in (x, offsets, self.weight, self.bias))
            return deformable_conv(*inputs).to(x.dtype)


def deformable_conv(
    x: torch.Tensor, offsets: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Convolve with displaced kernel points (Dai et al. 2017, eq. 2).

    Parameters
    ----------
    x
        ``(B, C, Y, X)``.
    offsets
        ``(B, 18, Y, X)``, px: y and x of the kernel's first point, then of the next, row by row.
    weight, bias
        ``(C', C, 3, 3)`` and ``(C',)``.

    Returns
    -------
    torch.Tensor
        ``(B, C', Y, X)``.
    """
    batch, channels, height, width = x.shape
    kernel = weight.flatten(1).expand(batch, -1, -1)
    grid = _sampling_grid(offsets)
    # Strips save time alone, and a program for any size (torch.export, ONNX) cannot count them.
    whole = torch.compiler.is_compiling()
    strips = []
    for part in [grid] if whole else torch.split(grid, max(1, _STRIP // width), dim=2):
        samples = functional.grid_sample(x, part.flatten(1, 2), align_corners=False)
        columns = samples.reshape(batch, channels * _POINTS, -1)
        strips.append(torch.baddbmm(bias[:, None], kernel, columns))
    return torch.cat(strips, dim=2).view(batch, -1, height, width)


def _sampling_grid(offsets: torch.Tensor) -> torch.Tensor:
    """Return where each kernel point looks, as `grid_sample` has it: x and y, -1 to 1 the image."""
    batch, _, height, width = offsets.shape

    def count(end: int) -> torch.Tensor:
        return torch.arange(end, dtype=offsets.dtype, device=offsets.device)

    by_point = offsets.view(batch, _POINTS, 2, height, width)
    point = count(3) - 1
    rows = by_point[:, :, 0] + point.repeat_interleave(3)[:, None, None] + count(height)[:, None]
    columns = by_point[:, :, 1] + point.repeat(3)[:, None, None] + count(width)
    return torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
