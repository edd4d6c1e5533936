"""Random changes of a training patch: how far they may go, and those of intensities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.data.augment_params import AugmentParams

# Ruifrok & Johnston (2001): optical densities of haematoxylin, eosin and DAB in red, green, blue.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)


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
