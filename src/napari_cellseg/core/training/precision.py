"""Mixed precision that is fast on processors as well as on GPUs.

On processors the backward pass of a depthwise convolution in bfloat16 takes a path up to ten times
slower than float32 (EfficientNet-B0, 8 x 256 x 256: two thirds of a step). All other layers gain
from bfloat16, and so do these where they are fixed and need no such pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_cellseg.core._torch import torch

functional = torch.nn.functional


def is_depthwise(conv: torch.nn.Conv2d) -> bool:
    """Whether each channel is convolved on its own, with weights that learn."""
    return conv.groups == conv.in_channels > 1 and conv.weight.requires_grad


def keep_depthwise_float32(network: torch.nn.Module) -> None:
    """Compute the depthwise convolutions of `network` in float32 even under autocast.

    Those that were given another form already stay as they are.
    """
    for module in network.modules():
        if not isinstance(module, torch.nn.Conv2d) or "forward" in vars(module):
            continue
        if is_depthwise(module):
            vars(module)["forward"] = _in_float32(module.forward)


def _in_float32(
    forward: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(image: torch.Tensor) -> torch.Tensor:
        with torch.autocast(image.device.type, enabled=False):
            return forward(image.float())

    return run


def convolve_depthwise(
    image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, conv: torch.nn.Conv2d
) -> torch.Tensor:
    """Convolve forward as autocast has it, which halves the maps, and backward in float32.

    Parameters
    ----------
    image
        ``(B, C, Y, X)``, padded where `conv` does not do it.
    weight, bias
        Those of `conv`, or others in their place.
    conv
        Says how it is convolved.
    """
    result: torch.Tensor = _Depthwise.apply(image, weight, bias, conv)
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        image: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        conv: torch.nn.Conv2d,
    ) -> torch.Tensor:
        context.save_for_backward(image, weight)
        context.conv, context.has_bias = conv, bias is not None
        return functional.conv2d(
            image, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        image, weight = context.saved_tensors
        conv: torch.nn.Conv2d = context.conv
        wanted = [context.needs_input_grad[0], context.needs_input_grad[1], context.has_bias]
        of_image, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient.float(),
            image.float(),
            weight.float(),
            [len(weight)] if context.has_bias else None,
            conv.stride,
            conv.padding,
            conv.dilation,
            False,  # not transposed
            [0, 0],
            conv.groups,
            wanted,
        )
        return of_image.to(image.dtype) if wanted[0] else None, of_weight, of_bias, None
