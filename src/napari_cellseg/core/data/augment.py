"""Random changes of a training patch: geometry first, then intensities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params

functional = torch.nn.functional
FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

# Ruifrok & Johnston (2001): optical densities of haematoxylin, eosin and DAB in red, green, blue.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)


class AugmentParams(Params):
    """How far patches are changed; 0 (or a range of 1 to 1) switches a part off."""

    scale_min: float = Field(
        0.6, gt=0.1, le=1, title="Smallest scale", description="Objects are shrunk to this factor."
    )
    scale_max: float = Field(
        1.6, ge=1, le=8, title="Largest scale", description="Objects are enlarged to this factor."
    )
    rotate: bool = Field(True, title="Rotate", description="Any angle and mirroring.")
    mirror: bool = Field(
        False, title="Mirror", description="Mirroring without rotation; 'Rotate' does both."
    )
    elastic: float = Field(
        4.0,
        ge=0,
        le=50,
        title="Elastic deformation",
        description="Largest standard deviation of a smooth random displacement.",
        json_schema_extra={"unit": "px"},
    )
    gamma: float = Field(
        0.5, ge=0, le=2, title="Gamma", description="Largest absolute logarithm of the exponent."
    )
    contrast: float = Field(
        0.3, ge=0, le=1, title="Contrast", description="Largest change of brightness and contrast."
    )
    noise: float = Field(
        0.08,
        ge=0,
        le=1,
        title="Noise",
        description="Largest standard deviation, of the full range.",
    )
    blur: float = Field(
        1.5,
        ge=0,
        le=10,
        title="Blur",
        description="Largest standard deviation of a Gaussian.",
        json_schema_extra={"unit": "px"},
    )
    invert: float = Field(
        0.2, ge=0, le=1, title="Invert", description="Share of grey patches with inverted contrast."
    )
    stain: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Stain jitter",
        description="Largest change of each stain's strength in colour patches.",
    )
    to_gray: float = Field(
        0.2, ge=0, le=1, title="To grey", description="Share of colour patches turned to grey."
    )


@dataclass(frozen=True)
class Patch:
    """One training patch.

    Attributes
    ----------
    image
        float32 (C, Y, X) in [0, 1].
    labels
        int32 (Y, X), 0 is background.
    """

    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]


def cut_patch(
    image: FloatArray,
    labels: IntArray,
    center: tuple[float, float],
    size: int,
    params: AugmentParams,
    rng: np.random.Generator,
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
    """
    grid = _sampling_grid(center, size, params, rng)
    box, grid = _crop_to_grid(grid, labels.shape)
    source = torch.from_numpy(np.ascontiguousarray(image[box].transpose(2, 0, 1), np.float32))
    ids, dense = np.unique(labels[box], return_inverse=True)
    dense_ids = torch.from_numpy(dense.reshape(labels[box].shape).astype(np.float32))
    warped = functional.grid_sample(
        source[None], grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )
    nearest = functional.grid_sample(
        dense_ids[None, None], grid, mode="nearest", padding_mode="reflection", align_corners=True
    )
    new_labels = ids[nearest[0, 0].numpy().astype(np.int64)].astype(np.int32)
    return Patch(warped[0].numpy(), new_labels)


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


def change_intensities(
    image: npt.NDArray[np.float32], params: AugmentParams, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Change stain, contrast, sharpness and noise of a patch.

    Parameters
    ----------
    image
        float32 (C, Y, X) in [0, 1]; three channels are taken for colour unless they are equal.

    Returns
    -------
    float32 of the same shape in [0, 1].
    """
    color = len(image) == 3 and not np.array_equal(image[0], image[1])
    if color and rng.random() < params.to_gray:
        image = np.repeat(image.mean(axis=0, keepdims=True), 3, axis=0)
        color = False
    if color:
        image = _jitter_stains(image, params, rng)
    elif rng.random() < params.invert:
        image = 1 - image
    # interpolation and stain mixing may leave [0, 1] by a little, where powers are not defined
    image = np.power(
        np.clip(image, 0, 1), np.float32(np.exp(rng.uniform(-params.gamma, params.gamma)))
    )
    gain = 1 + rng.uniform(-params.contrast, params.contrast)
    shift = rng.uniform(-params.contrast, params.contrast) / 3
    image = (image - 0.5) * np.float32(gain) + np.float32(0.5 + shift)
    image = _shade(image, params, rng)
    if params.blur and rng.random() < 0.4:
        image = _blur(image, rng.uniform(0.2, params.blur))
    if params.noise and rng.random() < 0.5:
        image = image + _noise(image.shape, color, rng) * np.float32(rng.uniform(0, params.noise))
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


def _noise(
    shape: tuple[int, ...], color: bool, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """White noise; all channels of a grey patch share it, as they share the intensities."""
    return rng.standard_normal(shape if color else (1, *shape[1:]), dtype=np.float32)


def _jitter_stains(
    image: npt.NDArray[np.float32], params: AugmentParams, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Scale each stain's optical density by a random factor."""
    mixing = _STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)
    factors = 1 + rng.uniform(-params.stain, params.stain, 3)
    change = (np.linalg.inv(mixing) @ np.diag(factors) @ mixing).astype(np.float32)
    density = -np.log(np.clip(image, 1 / 255, 1))
    mixed = np.tensordot(change.T, density, axes=(1, 0))
    return np.exp(-mixed).astype(np.float32)


def _shade(
    image: npt.NDArray[np.float32], params: AugmentParams, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Add a smooth gradient of illumination to a third of the patches."""
    if not params.contrast or rng.random() > 1 / 3:
        return image
    slopes = rng.uniform(-params.contrast, params.contrast, 2) / 2
    rows = np.linspace(-1, 1, image.shape[1])[:, None] * slopes[0]
    columns = np.linspace(-1, 1, image.shape[2])[None, :] * slopes[1]
    light: npt.NDArray[np.float32] = (1 + rows + columns).astype(np.float32)
    return np.multiply(image, light)


def _blur(image: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    from scipy import ndimage

    blurred: npt.NDArray[np.float32] = ndimage.gaussian_filter(image, (0, sigma, sigma))
    return blurred
