"""Cut training patches: randomly scaled, rotated, mirrored and deformed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment_params import AugmentParams

functional = torch.nn.functional
FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Patch:
    """One training patch.

    Attributes
    ----------
    image
        float32 (C, Y, X) in [0, 1].
    labels
        int32 (Y, X), 0 is background.
    known
        Boolean (Y, X), where the labels are the truth; None: everywhere.
    """

    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    known: BoolArray | None = None


def cut_patch(
    image: FloatArray,
    labels: IntArray,
    center: tuple[float, float],
    size: int,
    params: AugmentParams,
    rng: np.random.Generator,
    known: BoolArray | None = None,
) -> Patch:
    """Cut a randomly scaled, rotated, mirrored and deformed patch.

    Image and labels go through one sampling grid, the image bilinearly and the labels to the
    nearest pixel; beyond the border both are mirrored.

    Parameters
    ----------
    image
        Intensities (Y, X, C) in [0, 1].
    labels
        Instance ids (Y, X).
    center
        Row and column in the image that come to lie in the middle of the patch.
    size
        Side of the patch in pixels.
    known
        Boolean (Y, X), where the labels are the truth; None: everywhere.
    """
    grid = _sampling_grid(center, size, params, rng)
    box, grid = _crop_to_grid(grid, labels.shape)
    source = torch.from_numpy(np.ascontiguousarray(image[box].transpose(2, 0, 1), np.float32))
    ids, dense = np.unique(labels[box], return_inverse=True)
    planes: list[npt.NDArray[Any]] = [dense.reshape(labels[box].shape)]
    if known is not None:
        planes.append(known[box])
    warped = functional.grid_sample(
        source[None], grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )
    nearest = functional.grid_sample(
        torch.from_numpy(np.stack(planes).astype(np.float32))[None],
        grid,
        mode="nearest",
        padding_mode="reflection",
        align_corners=True,
    )[0].numpy()
    new_labels = ids[nearest[0].astype(np.int64)].astype(np.int32)
    return Patch(warped[0].numpy(), new_labels, None if known is None else nearest[1] > 0)


def _sampling_grid(
    center: tuple[float, float],
    size: int,
    params: AugmentParams,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return where each pixel of the patch comes from, ``(1, size, size, 2)`` as (column, row)."""
    scale = np.exp(rng.uniform(np.log(params.scale_min), np.log(params.scale_max)))
    stretch = np.exp(rng.uniform(-0.1, 0.1)) if params.scale_max > params.scale_min else 1.0
    angle = rng.uniform(0, 2 * np.pi) if params.rotate else 0.0
    mirror = -1.0 if params.rotate and rng.random() < 0.5 else 1.0
    flip = 1.0
    if params.mirror and not params.rotate:
        mirror, flip = rng.choice((-1.0, 1.0), 2)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([mirror / stretch, flip * stretch]) / scale
    steps = np.arange(size) - (size - 1) / 2
    offsets = np.stack(np.meshgrid(steps, steps, indexing="xy"), -1) @ turn.T
    if params.elastic:
        coarse = rng.normal(size=(1, 2, 5, 5)) * rng.uniform(0, params.elastic)
        smooth = functional.interpolate(
            torch.from_numpy(coarse), size=(size, size), mode="bicubic", align_corners=True
        )
        offsets = offsets + smooth[0].numpy().transpose(1, 2, 0)
    return torch.from_numpy((offsets + np.array(center[::-1])).astype(np.float32))[None]


def _crop_to_grid(
    grid: torch.Tensor, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], torch.Tensor]:
    """Crop to what the grid needs, and express the grid in [-1, 1] of that crop."""
    box = []
    for axis, length in ((1, shape[0]), (0, shape[1])):
        low = int(grid[..., axis].min().floor()) - 1
        high = int(grid[..., axis].max().ceil()) + 2
        # A patch that reaches beyond the border is mirrored there, at the picture's own edge.
        inside = low >= 0 and high <= length
        box.append(slice(low, high) if inside else slice(0, length))
    lengths = torch.tensor([box[1].stop - box[1].start, box[0].stop - box[0].start])
    start = torch.tensor([box[1].start, box[0].start], dtype=torch.float32)
    return (box[0], box[1]), (grid - start) * 2 / (lengths - 1).clamp(min=1) - 1
