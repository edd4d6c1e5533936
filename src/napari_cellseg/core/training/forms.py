"""Cheaper forms of a network's layers while it learns on a processor, with the same gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference.fused import ACTIVATIONS, FusedConv, can_fuse
from napari_cellseg.core.models.blocks import UpConvBlock
from napari_cellseg.core.models.detector import Detector
from napari_cellseg.core.models.efficientnet import SamePaddedConv
from napari_cellseg.core.models.registry import DenseModel
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.freezing import switch_to_training
from napari_cellseg.core.training.precision import (
    convolve_depthwise,
    is_depthwise,
    keep_depthwise_float32,
)

nn = torch.nn
functional = torch.nn.functional

Map = Callable[[torch.Tensor], torch.Tensor]


def quicken(network: DenseModel | Detector, config: TrainConfig, device: str) -> None:
    """Give the layers of `network` forms that cost less; the results are equal but for rounding.

    - A normalisation by kept means and variances is a factor and an offset of each channel. They
      are multiplied into the weights of the convolution before it, whose map is larger by far.
    - What is fixed is computed as in prediction: weights, normalisation and activation in one.
    - A 3 x 3 convolution of a map that was enlarged twofold by repetition is a transposed one of
      the small map, with 4 products where it takes 9, and the large map is never made.
    - The backward pass of depthwise convolutions stays float32, see `precision`.

    It shows in nothing but ``forward`` of the layers: names and values of weights stay. After
    fixed weights were exchanged it has to be called again. On a GPU, and in networks that find
    objects one by one, layers keep the forms that they are written in, but for their precision.

    Parameters
    ----------
    network
        On its device, frozen as `config` says.
    config
        Settings of the run.
    device
        Device in torch's spelling.
    """
    _as_written(network)
    reduced = config.precision == "bfloat16"
    if device == "cpu" and isinstance(network, DenseModel):
        _change_forms(network, config, torch.bfloat16 if reduced else torch.float32)
    if reduced:
        keep_depthwise_float32(network)


def _as_written(network: torch.nn.Module) -> None:
    for module in network.modules():
        vars(module).pop("forward", None)


@dataclass
class _Chain:
    """A convolution, and the normalisation and the activation that are given its result."""

    conv: Any
    norm: Any = None
    activation: Any = None

    @property
    def folds(self) -> bool:
        """Whether the normalisation is the same for every batch."""
        return self.norm is not None and not self.norm.training

    @property
    def fixed(self) -> bool:
        """Whether nothing in it learns."""
        parts = [part for part in (self.conv, self.norm) if part is not None]
        kept = self.norm is None or self.folds
        return kept and not any(p.requires_grad for part in parts for p in part.parameters())

    def weights(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return weight and bias, those of the normalisation multiplied into them."""
        weight, bias = self.conv.weight, self.conv.bias
        if not self.folds:
            return weight, bias
        norm = self.norm
        factor = torch.rsqrt(norm.running_var + norm.eps)
        factor = factor if norm.weight is None else factor * norm.weight
        offset = -norm.running_mean if bias is None else bias - norm.running_mean
        offset = offset * factor if norm.bias is None else offset * factor + norm.bias
        return weight * factor[:, None, None, None], offset


@dataclass
class _Watch:
    """Notes which layer is given the result of which convolution."""

    chains: dict[nn.Module, _Chain] = field(default_factory=dict)
    _made: list[tuple[torch.Tensor, _Chain]] = field(default_factory=list)

    def __call__(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        """Take a call of a layer, as a forward hook."""
        if type(module) in (nn.Conv2d, SamePaddedConv):
            self._made.append((output, self.chains.setdefault(module, _Chain(module))))
            return
        for tensor, chain in self._made:
            if tensor is inputs[0]:
                if isinstance(module, nn.BatchNorm2d):
                    chain.norm = module
                elif chain.norm is None or chain.folds:
                    chain.activation = module
                self._made.append((output, chain))
                return


@torch.no_grad()
def _change_forms(network: DenseModel, config: TrainConfig, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    sample = torch.rand((2, network.params.in_channels, 64, 64), generator=generator)
    sample = sample.to(next(network.parameters()).dtype)
    watch = _Watch()
    kinds = (nn.Conv2d, nn.BatchNorm2d, *ACTIVATIONS)
    hooks = [
        module.register_forward_hook(watch)
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    try:
        before = network.eval()(sample)
    finally:
        for hook in hooks:
            hook.remove()
    switch_to_training(network, config)
    chains = [chain for chain in watch.chains.values() if FusedConv.fits(chain.conv)]
    fixed = [chain for chain in chains if chain.fixed and can_fuse()]
    kernels = [_fix(chain) for chain in fixed]
    for chain in chains:
        if chain not in fixed and (chain.folds or is_depthwise(chain.conv)):
            _fold(chain)
    for module in network.modules():
        if isinstance(module, UpConvBlock):
            vars(module)["forward"] = _joined(module, watch.chains[module[0]])
    after = network.eval()(sample)
    if not all(torch.allclose(before[k], after[k], rtol=1e-3, atol=1e-3) for k in before):
        _as_written(network)  # a layer is used twice, say
    for kernel in kernels:
        kernel.to(dtype)


def _unchanged(x: torch.Tensor) -> torch.Tensor:
    return x


def _convolve(
    conv: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Convolve as `conv` does, with other weights."""
    if isinstance(conv, SamePaddedConv):
        x = conv.padded(x)
    if is_depthwise(conv) and torch.is_autocast_enabled("cpu"):
        return convolve_depthwise(x, weight, bias, conv)
    return functional.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def _fold(chain: _Chain) -> None:
    """Multiply a normalisation into the weights at every step, so that both go on learning."""
    vars(chain.conv)["forward"] = lambda x: _convolve(chain.conv, x, *chain.weights())
    if chain.folds:
        vars(chain.norm)["forward"] = _unchanged


def _fix(chain: _Chain) -> FusedConv:
    """Compute a chain as in prediction, and return what computes it."""
    conv = copy.deepcopy(chain.conv)
    weight, bias = chain.weights()
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    activation = chain.activation
    kernel = FusedConv(conv, ACTIVATIONS[type(activation)] if activation else "none")

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:  # the operation has no backward pass
            x = _convolve(conv, x, conv.weight, conv.bias)
            return x if activation is None else type(activation).forward(activation, x)
        result: torch.Tensor = kernel(x.to(kernel.kernel.weight.dtype))
        return result

    vars(chain.conv)["forward"] = run
    for part in (chain.norm, activation):
        if part is not None:
            vars(part)["forward"] = _unchanged
    return kernel


def _joined(
    block: UpConvBlock, chain: _Chain
) -> Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]:
    """Return what joins a coarse map and a skip connection without enlarging the map."""
    _, norm, activation = block
    deep_channels = block.deep_channels

    def run(deep: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        weight, bias = chain.weights()
        first = None if skip is not None else bias
        kernel = _enlarging(weight[:, :deep_channels])
        x = functional.conv_transpose2d(deep, kernel, first, stride=2, padding=1)
        if skip is not None:
            x += functional.conv2d(skip, weight[:, deep_channels:], bias, padding=1)
        result: torch.Tensor = activation(x if chain.folds else norm(x))
        return result

    return run


def _enlarging(weight: torch.Tensor) -> torch.Tensor:
    """Turn a 3 x 3 kernel over an enlarged map into that of a transposed convolution, 4 x 4.

    A source pixel is seen by all that see one of its four copies: the kernel is the sum of four,
    each moved by the place of a copy.
    """
    # Four times a mean: exact, and one operation.
    return 4 * functional.avg_pool2d(weight.flip(2, 3), 2, 1, padding=1).transpose(0, 1)
