"""PNG, JPEG and BMP pictures to pixels."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import ImageError

_DEEP_COLOUR = ((16, 2), (16, 6))  # (bits, colour type) of 16-bit RGB and RGBA in a PNG header


def read_picture(path: Path, *, indices: bool = False) -> tuple[npt.NDArray[Any], str]:
    """Read a PNG, JPEG or BMP file.

    Parameters
    ----------
    path
        File.
    indices
        Keep the indices of a palette picture instead of its colours (for label maps).

    Returns
    -------
    pixels
        Shape (Y, X) or (Y, X, 3); an alpha channel is dropped.
    axes
        ``"YX"`` or ``"YXS"``.

    Raises
    ------
    ImageError
        If the file is damaged or too large to be a picture.
    """
    from PIL import Image

    try:
        if _is_deep_colour_png(path):
            return _read_deep_png(path)
        with Image.open(path) as opened:
            picture: Image.Image = opened
            if picture.mode == "P" and not indices:
                picture = picture.convert("RGB")
            elif picture.mode in ("1", "LA", "La"):
                picture = picture.convert("L")
            elif picture.mode not in ("L", "P", "I", "F") and not picture.mode.startswith("I;"):
                picture = picture.convert("RGB")
            pixels = np.array(picture)
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{path.name}' is too large for this format: save it as TIFF.") from error
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise ImageError(
            f"'{path.name}' is damaged or was cut off while it was copied ({error}): copy or "
            "export it again."
        ) from error
    return pixels, "YX" if pixels.ndim == 2 else "YXS"


def _is_deep_colour_png(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(26)
    return head.startswith(b"\x89PNG") and tuple(head[24:26]) in _DEEP_COLOUR


def _read_deep_png(path: Path) -> tuple[npt.NDArray[Any], str]:
    # Pillow would cut 16-bit colours down to 8 bits without a word.
    if find_spec("imagecodecs") is None:
        raise ImageError(
            f"'{path.name}' has 16-bit colours, which need one more package: run "
            "'pip install imagecodecs', or save it as TIFF."
        )
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(path.read_bytes()))[..., :3], "YXS"
