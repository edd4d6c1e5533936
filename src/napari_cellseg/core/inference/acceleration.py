"""The form of a network for prediction: fast on its device, and indifferent to tile borders."""

from __future__ import annotations

import copy
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.device import has_fast_bfloat16
from napari_cellseg.core.inference.local_pooling import LocalPooling

nn = torch.nn

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def accelerate(network: torch.nn.Module, in_channels: int, device: str) -> torch.nn.Module:
    """Return a copy of `network` for prediction on `device`.

    Batch normalisation is folded into the convolutions, memory is laid out channels last, and
    weights are bfloat16 where the processor computes natively with it. Averages over the whole tile
    become averages over a neighbourhood (see `LocalPooling`).

    Parameters
    ----------
    network
        float32, on the CPU, in evaluation mode; it is left as it is.
    in_channels
        Channels of its input.
    device
        Device in torch's spelling.
    """
    fast = fold_batch_norms(network, in_channels)
    dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    fast.to(torch.device(device), dtype)
    return LocalPooling(fast.to(memory_format=torch.channels_last))


def fold_batch_norms(network: torch.nn.Module, in_channels: int) -> torch.nn.Module:
    """Return a copy whose convolutions have taken over the batch normalisations that follow them.

    Which follows which is seen from a run on a small random image. The copy must agree with the
    original there; otherwise (a convolution is used twice, say) an unchanged copy is returned.
    """
    folded = copy.deepcopy(network).eval()
    generator = torch.Generator().manual_seed(0)
    sample = torch.rand((1, in_channels, 64, 64), generator=generator)
    with torch.inference_mode():
        before = folded(sample)
    with torch.no_grad():
        for convolution, norm, parent, name in _find_pairs(folded, sample):
            weight, bias = nn.utils.fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
                transpose=isinstance(convolution, nn.ConvTranspose2d),
            )
            convolution.weight, convolution.bias = weight, bias
            setattr(parent, name, nn.Identity())
    with torch.inference_mode():
        after = folded(sample)
    same = all(torch.allclose(before[k], after[k], rtol=1e-3, atol=1e-3) for k in before)
    return folded if same else copy.deepcopy(network).eval()


def _find_pairs(
    network: torch.nn.Module, sample: torch.Tensor
) -> list[tuple[Any, Any, torch.nn.Module, str]]:
    places: dict[torch.nn.Module, tuple[torch.nn.Module, str]] = {
        child: (parent, name)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.BatchNorm2d)
    }
    made: list[tuple[torch.Tensor, torch.nn.Module]] = []  # keeps tensors alive: ids stay unique
    calls: list[torch.nn.Module] = []
    pairs: list[tuple[Any, Any, torch.nn.Module, str]] = []

    def watch(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        calls.append(module)
        if isinstance(module, _CONVOLUTIONS):
            made.append((output, module))
        else:
            source = [maker for tensor, maker in made if tensor is inputs[0]]
            pairs.extend((maker, module, *places[module]) for maker in source)

    hooks = [
        module.register_forward_hook(watch)
        for module in network.modules()
        if isinstance(module, (*_CONVOLUTIONS, nn.BatchNorm2d))
    ]
    try:
        with torch.inference_mode():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    once = {module for module in calls if calls.count(module) == 1}
    return [p for p in pairs if p[0] in once and p[1] in once and p[1].running_mean is not None]
