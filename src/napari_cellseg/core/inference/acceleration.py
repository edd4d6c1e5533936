"""The form of a network for prediction: fast on its device, and indifferent to tile borders."""

from __future__ import annotations

import copy
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.device import has_fast_bfloat16
from napari_cellseg.core.inference.fused import (
    ACTIVATIONS,
    BlockwiseConv,
    FusedConv,
    FusedUpConv,
    can_fuse,
    replace_modules,
)
from napari_cellseg.core.inference.local_pooling import LocalPooling
from napari_cellseg.core.models.blocks import UpConvBlock

nn = torch.nn

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def accelerate(network: torch.nn.Module, in_channels: int, device: str) -> torch.nn.Module:
    """Return a copy of `network` for prediction on `device`.

    Batch normalisation is folded into the convolutions, memory is laid out channels last, and
    weights are bfloat16 where the processor computes natively with it. On a processor convolutions
    take over their activations (see `fused`). Averages over the whole tile become averages over a
    neighbourhood (see `LocalPooling`).

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
    if device == "cpu":
        fast = fuse_convolutions(fast, in_channels)
    dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    fast.to(torch.device(device), dtype)
    return LocalPooling(fast.to(memory_format=torch.channels_last))


def fold_batch_norms(network: torch.nn.Module, in_channels: int) -> torch.nn.Module:
    """Return a copy whose convolutions have taken over the batch normalisations that follow them.

    Which follows which is seen from a run on a small random image. The copy must agree with the
    original there; otherwise (a convolution is used twice, say) an unchanged copy is returned.
    """
    folded = copy.deepcopy(network).eval()
    sample = _sample(in_channels)
    with torch.no_grad():
        for convolution, norm, parent, name in _find_pairs(folded, sample, (nn.BatchNorm2d,)):
            if norm.running_mean is None:
                continue
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
    return folded if _agree(network, folded, sample) else copy.deepcopy(network).eval()


def fuse_convolutions(network: torch.nn.Module, in_channels: int) -> torch.nn.Module:
    """Return `network` with its convolutions in the forms of `fused`, or as it is.

    It stays as it is where this torch lacks the operations, or where the results would differ.
    """
    if not can_fuse():
        return network
    sample = _sample(in_channels)
    try:
        fused = _fused(network, sample)
        return fused if _agree(network, fused, sample) else network
    except RuntimeError:  # oneDNN refuses on this processor
        return network


@torch.no_grad()
def _fused(network: torch.nn.Module, sample: torch.Tensor) -> torch.nn.Module:
    fused = copy.deepcopy(network)
    replace_modules(fused, _join)
    news = {}
    for convolution, activation, parent, name in _find_pairs(fused, sample, (*ACTIVATIONS,)):
        if FusedConv.fits(convolution):
            news[convolution] = FusedConv(convolution, ACTIVATIONS[type(activation)])
            setattr(parent, name, nn.Identity())
    replace_modules(fused, news.get)
    replace_modules(fused, lambda m: BlockwiseConv(m) if BlockwiseConv.fits(m) else None)
    return fused


def _join(module: torch.nn.Module) -> torch.nn.Module | None:
    if isinstance(module, UpConvBlock) and FusedUpConv.fits(module):
        return FusedUpConv(module)
    return None


def _sample(in_channels: int) -> torch.Tensor:
    return torch.rand((1, in_channels, 64, 64), generator=torch.Generator().manual_seed(0))


def _agree(first: torch.nn.Module, second: torch.nn.Module, sample: torch.Tensor) -> bool:
    """Whether two networks in evaluation mode give the same maps but for rounding."""
    with torch.inference_mode():
        before, after = first.eval()(sample), second.eval()(sample)
    return all(torch.allclose(before[k], after[k], rtol=1e-3, atol=1e-3) for k in before)


def _find_pairs(
    network: torch.nn.Module, sample: torch.Tensor, kinds: tuple[type[torch.nn.Module], ...]
) -> list[tuple[Any, Any, torch.nn.Module, str]]:
    """Return each convolution with the module of these kinds that follows it, and its place."""
    places: dict[torch.nn.Module, tuple[torch.nn.Module, str]] = {
        child: (parent, name)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, kinds)
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
        if isinstance(module, (*_CONVOLUTIONS, *kinds))
    ]
    try:
        with torch.inference_mode():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    once = {module for module in calls if calls.count(module) == 1}
    return [p for p in pairs if p[0] in once and p[1] in once]
