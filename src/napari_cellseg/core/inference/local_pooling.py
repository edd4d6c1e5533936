"""Channel attention that looks at a neighbourhood, as in training, not at the whole tile.

Such a gate weighs channels by their mean, or mean and maximum, over the image that the network is
given: in training a patch of a few hundred pixels. Over a larger tile these are others, and results
depend on where the tile ends. Taken over a neighbourhood of the training patch's size, they depend
on the neighbourhood alone (Chu et al. 2022, "Improving image restoration by revisiting global
information aggregation", section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference.tiling import CELL

functional = torch.nn.functional

_RADIUS = 2
_WINDOW = 2 * _RADIUS + 1
_PRODUCTS = (torch.mul, torch.Tensor.mul, torch.Tensor.__mul__)


def _means(features: torch.Tensor, cell: int) -> torch.Tensor:
    means = functional.avg_pool2d(features, cell, ceil_mode=True, count_include_pad=False)
    return functional.avg_pool2d(means, _WINDOW, 1, _RADIUS, count_include_pad=False)


def _maxima(features: torch.Tensor, cell: int) -> torch.Tensor:
    maxima = functional.max_pool2d(features, cell, ceil_mode=True)
    return functional.max_pool2d(maxima, _WINDOW, 1, _RADIUS)


_POOLINGS: dict[Callable[..., Any], Callable[[torch.Tensor, int], torch.Tensor]] = {
    functional.adaptive_avg_pool2d: _means,
    functional.adaptive_max_pool2d: _maxima,
}


class LocalPooling(torch.nn.Module):
    """Runs a network with its global poolings replaced by poolings over 5 x 5 cells of 64 px.

    Cells lie on a fixed grid, to which tiles are aligned. Means and maxima are taken a cell, then
    over the neighbours, and the gates made from them are interpolated between the cells.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Predict raw logits, as the network does."""
        with _LocalPools(image.shape[-2]):
            maps: dict[str, torch.Tensor] = self.network(image)
        return maps


class _LocalPools(torch.overrides.TorchFunctionMode):
    def __init__(self, height: int) -> None:
        super().__init__()
        self.height = height

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function in _POOLINGS and args[1] in (1, (1, 1)):
            return _POOLINGS[function](args[0], self._cell(args[0]))
        if function in _PRODUCTS and all(isinstance(a, torch.Tensor) for a in args[:2]):
            large = self._enlarged_gates(*args[:2])
            if large is not None:  # it is nobody else's, so the product can take its place
                gates, features = large
                return gates.mul_(features) if gates.dtype == features.dtype else gates * features
        return function(*args, **(kwargs or {}))

    def _cell(self, features: torch.Tensor) -> int:
        """Return the pixels of `features` along a cell."""
        return max(1, round(CELL * features.shape[-2] / self.height))

    def _enlarged_gates(
        self, first: torch.Tensor, second: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return the gates, the smaller of two tensors of the same channels, as large as the other.

        None if none is smaller.
        """
        if not first.ndim == second.ndim == 4 or first.shape[:2] != second.shape[:2]:
            return None
        if first.shape[-2:] == second.shape[-2:]:
            return None
        gates, features = sorted((first, second), key=lambda t: t.shape[-2] * t.shape[-1])
        return self._enlarged(gates, features), features

    def _enlarged(self, gates: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        height, width = features.shape[-2:]
        cell = self._cell(features)
        large = functional.interpolate(
            gates, scale_factor=float(cell), mode="bilinear", align_corners=False
        )
        return large[..., :height, :width]  # the last cell may reach beyond
