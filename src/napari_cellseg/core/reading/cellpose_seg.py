"""Labels out of the files that cellpose's window saves (``NAME_seg.npy``), without unpickling.

Such a file is what ``numpy.save`` makes of a dict: a pickle, which may run any code when it is
loaded as usual. Here its array ``masks`` is taken out of it, and nothing else.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading.inert_pickle import Bytes, Call, Name, read_pickle

SUFFIX = "_seg.npy"

_CORES = ("numpy.core", "numpy._core")
_RECONSTRUCT = frozenset(f"{core}.multiarray._reconstruct" for core in _CORES)
_FROM_BUFFER = frozenset(f"{core}.numeric._frombuffer" for core in _CORES)  # protocol 5
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
_ALLOWED = _RECONSTRUCT | {
    *_FROM_BUFFER,
    "numpy.ndarray",
    "numpy.dtype",
    *(f"{core}.multiarray.scalar" for core in _CORES),
    *(f"pathlib{module}.{name}" for module in ("", "._local") for name in _PATHS),
}
_DTYPE = re.compile("b1|[iu][1248]|f[248]")
_LARGEST_SIDE = 2**31 - 1


def is_pickled(path: Path) -> bool:
    """Tell whether a file in NumPy's format holds Python objects instead of numbers."""
    try:
        with path.open("rb") as file:
            return _holds_objects(file)
    except (ValueError, OSError):  # damaged: whoever reads the numbers will say so
        return False


def read_masks(path: Path) -> npt.NDArray[Any]:
    """Return the masks of a file of cellpose: object numbers of two to four dimensions, 0 outside.

    Raises
    ------
    ImageError
        If the file is damaged, is none of cellpose, or holds anything that may be foreign code.
    """
    try:
        with path.open("rb") as file:
            if not _holds_objects(file):
                raise ValueError("it holds plain numbers")
            place, dtype, shape, order = _find_masks(read_pickle(file, _ALLOWED))
            file.seek(place.start)
            pixels = np.frombuffer(file.read(place.length), dtype)
    except (ValueError, OSError) as error:
        raise ImageError(
            f"'{path.name}' cannot be read as labels of cellpose, and is not unpickled ({error}): "
            "save the masks as TIFF in the program that made it."
        ) from error
    return pixels.reshape(shape, order=order)


def _holds_objects(file: Any) -> bool:
    """Read the header, and tell whether objects follow."""
    if np.lib.format.read_magic(file) != (1, 0):
        return False  # other versions are for the names of structured arrays
    return bool(np.lib.format.read_array_header_1_0(file)[2].hasobject)


def _find_masks(saved: Any) -> tuple[Bytes, np.dtype[Any], tuple[int, ...], Any]:
    """Return where the pixels of the masks lie, and as what."""
    items = _described(saved)[3]  # of an array without dimensions, with the dict in it
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise ValueError("it holds no results of cellpose")
    if "masks" not in items[0]:
        raise ValueError("it holds no 'masks'")
    shape, kind, order, place = _described(items[0]["masks"])
    dtype = _dtype(kind)
    if not isinstance(place, Bytes) or not _is_shape(shape) or order not in ("C", "F"):
        raise _no_numbers()
    if math.prod(shape) * dtype.itemsize != place.length:
        raise ValueError("its masks do not have the size that they state")
    return place, dtype, shape, order


def _described(array: Any) -> tuple[Any, Any, Any, Any]:
    """Return what describes an array: shape, dtype, order, content; none of it is checked."""
    if isinstance(array, Call) and array.name.text in _FROM_BUFFER and len(array.arguments) == 4:
        content, dtype, shape, order = array.arguments
        return shape, dtype, order, content
    if (
        not isinstance(array, Call)
        or array.name.text not in _RECONSTRUCT
        or array.arguments[:1] != (Name("numpy.ndarray"),)
        or not isinstance(array.state, tuple)
        or len(array.state) != 5
    ):
        raise _no_numbers()
    _, shape, dtype, columns_first, content = array.state
    return shape, dtype, "F" if columns_first is True else "C", content


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and 2 <= len(shape) <= 4
        and all(type(side) is int and 0 <= side <= _LARGEST_SIDE for side in shape)
    )


def _dtype(made: Any) -> np.dtype[Any]:
    """Return a type of numbers, from its name, such as ``"u2"``, and the order of its bytes."""
    if isinstance(made, Call) and made.name.text == "numpy.dtype" and made.arguments:
        name, state = made.arguments[0], made.state
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if isinstance(name, str) and _DTYPE.fullmatch(name) and order in ("<", ">", "|", "="):
            return np.dtype(order + name)
    raise _no_numbers()


def _no_numbers() -> ValueError:
    return ValueError("its masks are no array of numbers")
